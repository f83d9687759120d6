"""What the layers of one request tell each other: a small typed object in the ASGI scope."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection
from starlette.types import Scope

if TYPE_CHECKING:
    from app.core.store import Visit

_KEY = "app.notes"


@dataclass(slots=True)
class Notes:
    """One request's notes."""

    request_id: str = "-"
    # Added to the answer whatever it is, errors included: rate limits, for example.
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    # There was no room for it (overload).
    refused: bool = False
    # What the rate limiter brought back from Redis for the cache on the same trip.
    visit: "Visit | None" = None


def attach_notes(scope: Scope, notes: Notes) -> None:
    """Give the request its notes."""
    scope[_KEY] = notes


def notes_of(connection: HTTPConnection) -> Notes:
    """The request's notes; empty ones when the request layer is not installed, as in a test of one route."""
    notes: Notes = connection.scope.setdefault(_KEY, Notes())
    return notes
