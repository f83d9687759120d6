"""Tables. Importing this package makes all of them known to `Base.metadata`, which migrations are compared with."""

from app.models.base import Base
from app.models.export import Export, ExportFile, ExportStatus
from app.models.idempotency import IdempotencyKey
from app.models.item import Item, ItemStatus
from app.models.refresh_token import RefreshToken
from app.models.user import User

__all__ = [
    "Base",
    "Export",
    "ExportFile",
    "ExportStatus",
    "IdempotencyKey",
    "Item",
    "ItemStatus",
    "RefreshToken",
    "User",
]
