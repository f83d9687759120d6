"""Apps with one constant route, for benchmarks/middleware.py: CONSTANT_APP names which."""

from __future__ import annotations

import logging
import os

from fastapi import Depends, FastAPI

from app.api.deps import ORDINARY
from app.core.http.middleware import GuardMiddleware, RequestMiddleware
from app.core.settings import get_settings
from app.main import create_app


async def constant() -> dict[str, str]:
    """What every app of this benchmark answers."""
    return {"status": "ok"}


def make(kind: str) -> FastAPI:
    """bare; layer (the ASGI layers, the log line off); logged (with it); whole (the app); limited (with Redis)."""
    app = FastAPI() if kind in ("bare", "layer", "logged") else create_app()
    app.get("/constant", dependencies=[Depends(ORDINARY)] if kind == "limited" else [])(constant)
    if kind in ("layer", "logged"):
        app.add_middleware(GuardMiddleware, settings=get_settings())
        app.add_middleware(RequestMiddleware)
    if kind == "layer":
        logging.getLogger("app.request").disabled = True
    return app


app = make(os.environ.get("CONSTANT_APP", "bare"))
