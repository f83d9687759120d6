"""Where alembic finds the tables and the database."""

from alembic import context
from sqlmodel import SQLModel

from accounts.models import Account, engine

TABLES = (Account,)

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata)
    with context.begin_transaction():
        context.run_migrations()
