"""Liveness and readiness; not part of the versioned API, and not in its documentation."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.api.deps import resources_of

router = APIRouter(include_in_schema=False)


@router.get("/livez")
async def livez(request: Request) -> JSONResponse:
    """This process answers, and as which release: a deploy is a success when it is the new one. Nothing is asked."""
    release = resources_of(request).settings.release
    return JSONResponse({"status": "ok", "release": release}, headers={"x-release": release})


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """Whether to send requests here: 503 until the database was reached once, and from SIGTERM on."""
    ready, report = await resources_of(request).health.report()
    return JSONResponse(report, status_code=200 if ready else 503, headers={"cache-control": "no-store"})
