"""What schemas have in common. Bodies and queries: unknown fields are refused, and so is what is no text. Lists: pages,
and the cursors that say where one ended.
"""

import base64
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from fastapi import Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, RootModel, SecretStr, field_validator

from app.core.errors import Problem
from app.core.security.normalization import line, storable

T = TypeVar("T", bound=BaseModel)
Line = Annotated[str, Field(min_length=1), AfterValidator(line)]
"""One line that shows something."""


class RequestModel(BaseModel):
    """What a request brings. Every text in it can be kept in the database, whatever its field's type says."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="after")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if isinstance(value, SecretStr):
            storable(value.get_secret_value())
        return storable(value) if type(value) is str else value


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema["properties"].values():
        field.pop("default", None)


UNSET: Any = None
"""The default of a PatchModel's fields."""


class PatchModel(RequestModel):
    """What to change: what is left out stays, and nothing can be set to null."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    def changes(self) -> dict[str, Any]:
        """What was given."""
        return self.model_dump(exclude_unset=True)


class PageQuery(RequestModel):
    """Which page of a list."""

    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=1000, description="From the previous page's `Link` header")
    count: bool = Field(False, description="Say in `X-Total-Count` how many there are on all pages")


class Page(RootModel[list[T]], Generic[T]):
    """One page: on the wire a plain list. Where the next one is, and how many there are in all, go into headers."""

    _next_cursor: str | None = PrivateAttr(None)
    _total: int | None = PrivateAttr(None)

    @classmethod
    def of(
        cls, rows: Sequence[Mapping[str, Any]], *, limit: int, sorted_by: str = "created_at", total: int | None = None
    ) -> Self:
        """A page of these rows. There is a next one if there are as many as were asked for."""
        page = cls.model_validate(rows)
        page._total = total
        if len(rows) == limit:
            page._next_cursor = encode_cursor(rows[-1][sorted_by], rows[-1]["id"])
        return page

    def add_headers(self, request: Request, response: Response) -> None:
        """Set `Link` to the next page, and `X-Total-Count` where it was asked for."""
        if self._next_cursor is not None:
            url = request.url.include_query_params(cursor=self._next_cursor)
            # Relative: behind a load balancer this process does not know what its address is.
            response.headers["link"] = f'<{url.path}?{url.query}>; rel="next"'
        if self._total is not None:
            response.headers["x-total-count"] = str(self._total)


def encode_cursor(value: Any, identifier: uuid.UUID) -> str:
    """Where a page ended, as an opaque text: the value that the list is sorted by, and the identifier."""
    texts = [value.isoformat() if isinstance(value, datetime) else str(value), str(identifier)]
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode()


def moment(text: str) -> datetime:
    """A time in a cursor, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def decode_cursor(cursor: str | None, kind: Callable[[str], Any] = moment) -> tuple[Any, uuid.UUID] | None:
    """The value, read by `kind`, and the identifier; a 422 for what `encode_cursor` never made."""
    if cursor is None:
        return None
    try:
        value, identifier = json.loads(base64.urlsafe_b64decode(cursor))
        return kind(storable(value)), uuid.UUID(identifier)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise Problem(422, "The cursor is not one that this API gave.") from None
