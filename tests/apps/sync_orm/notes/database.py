"""The tables, and a session for each request."""

import os
from collections.abc import Iterator

from sqlalchemy import create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

TABLES_LOCK = 1

engine = create_engine(os.environ["DATABASE_URL"], pool_size=int(os.environ.get("DB_POOL", "5")), pool_pre_ping=True)


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


def create_tables() -> None:
    """One process at a time: CREATE TABLE IF NOT EXISTS fails where two try it at once."""
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TABLES_LOCK})
        Base.metadata.create_all(connection)


def session() -> Iterator[Session]:
    with Session(engine) as found:
        yield found
