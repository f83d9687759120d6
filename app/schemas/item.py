"""Items over the wire."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.models.item import ItemStatus

# Postgres text cannot hold NUL.
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$", examples=["Lighthouse"])]
Description = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$", examples=["Built in 1862"])]


class ItemCreate(BaseModel):
    """A new item."""

    model_config = ConfigDict(extra="forbid")
    title: Title
    description: Description = ""
    status: ItemStatus = ItemStatus.DRAFT


class ItemUpdate(BaseModel):
    """What to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    title: Title | None = None
    description: Description | None = None
    status: ItemStatus | None = None


class ItemRead(BaseModel):
    """An item."""

    model_config = ConfigDict(from_attributes=True)
    id: uuid.UUID
    owner_id: uuid.UUID
    title: str
    description: str
    status: ItemStatus
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def etag(self) -> str:
        """The version as an entity tag, for If-Match and If-None-Match."""
        return f'"{self.version}"'


class ItemSort(StrEnum):
    """Orders of a list; a minus sign means descending."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    TITLE = "title"
    TITLE_DESCENDING = "-title"

    @property
    def column(self) -> str:
        """The column to sort by."""
        return self.value.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether large values come first."""
        return self.value.startswith("-")


class ItemQuery(BaseModel):
    """Which items to list, and in which order."""

    model_config = ConfigDict(extra="forbid")
    search: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")] | None = Field(
        None, description="A part of the title, in any case"
    )
    status: ItemStatus | None = None
    sort: ItemSort = ItemSort.NEWEST
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=1000, description="From the previous page's `Link` header")
