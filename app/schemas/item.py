"""Items and their exports over the wire."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.models import ExportStatus, ItemStatus
from app.schemas.base import UNSET, Line, PageQuery, PatchModel, RequestModel

Title = Annotated[Line, Field(max_length=200, examples=["Lighthouse"])]
Description = Annotated[str, Field(max_length=10_000, examples=["Built in 1862"])]


class ItemCreate(RequestModel):
    """A new item."""

    title: Title
    description: Description = ""
    status: ItemStatus = ItemStatus.DRAFT


class ItemUpdate(PatchModel):
    """What to change; what is left out stays."""

    title: Title = UNSET
    description: Description = UNSET
    status: ItemStatus = UNSET


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


class ItemSort(StrEnum):
    """Orders of a list; a minus sign means descending."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    TITLE = "title"
    TITLE_DESCENDING = "-title"


class ItemQuery(PageQuery):
    """Which items to list, and in which order."""

    search: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="A part of the title, in any case"
    )
    status: ItemStatus | None = None
    sort: ItemSort = ItemSort.NEWEST


class ExportRead(BaseModel):
    """How far a file of all items is."""

    model_config = ConfigDict(from_attributes=True)
    id: uuid.UUID
    status: ExportStatus
    rows: int | None
    created_at: datetime
    finished_at: datetime | None
