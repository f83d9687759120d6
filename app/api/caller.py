"""Who a request's token speaks for."""

from fastapi import Request

from app.core.security import Caller
from app.resources import resources_of


async def optional_caller(request: Request) -> Caller | None:
    """The caller, without asking for one. The token's signature and its end are looked at, and nothing else."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return resources_of(request).tokens.read(token) if scheme.lower() == "bearer" and token else None
