"""The tables."""

from sqlmodel import Field, SQLModel, create_engine

from accounts.settings import settings

engine = create_engine(str(settings.database_url), max_overflow=0)


class Account(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
