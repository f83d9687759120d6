"""Exports over the wire."""

import uuid
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from app.models.export import ExportStatus


class ExportRead(BaseModel):
    """An export's progress."""

    model_config = ConfigDict(from_attributes=True)
    id: uuid.UUID
    status: ExportStatus
    rows: int | None
    created_at: datetime
    finished_at: datetime | None
