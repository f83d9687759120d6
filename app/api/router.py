"""A router that is asked only about its own paths."""

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope

V1 = "/api/v1"


class Router(APIRouter):
    """An APIRouter that does not try its routes on a path that begins otherwise: its prefix is the whole one, and it is
    included without another.

    FastAPI (0.137 and later) tries every route of every included router, and the one that fits twice.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a route of this router serves the request."""
        if not scope["path"].startswith(self.prefix):
            return Match.NONE, {}
        return super().matches(scope)
