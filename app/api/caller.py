"""Who a request's token speaks for."""

from fastapi import Request

from app.core.security import Caller
from app.resources import resources_of


def caller_of(request: Request) -> Caller | None:
    """The caller, without asking for one. The token's signature and its end are looked at, and nothing else.

    A function and no dependency: FastAPI takes longer to hand its result about than it takes to read the token, and a
    dependency is solved again by each that asks for it.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return resources_of(request).tokens.read(token) if scheme.lower() == "bearer" and token else None
