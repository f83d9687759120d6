"""Errors as answers: application/problem+json (RFC 9457) for every one."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from app.core.errors import DatabaseUnavailableError, Problem, is_passing, refers_to_nothing
from app.core.observability.logging import first_line

PROBLEM_JSON = "application/problem+json"
log = logging.getLogger("app.errors")
_TITLES = {status.value: status.phrase for status in HTTPStatus}


class ProblemResponse(JSONResponse):
    """An error's answer."""

    media_type = PROBLEM_JSON

    def render(self, content: Any) -> bytes:
        """As ASCII: the name of a field that is not known is the caller's, and may be no text."""
        return json.dumps(content).encode()


def problem_response(
    request: Request,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] | None = None,
) -> ProblemResponse:
    """Render one problem; `errors` lists the fields that did not validate."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Client Closed Request"),
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", "-"),  # none without RequestMiddleware, as in a test
    }
    if errors is not None:
        body["errors"] = list(errors)
    return ProblemResponse(body, status_code=status, headers=dict(headers or {}))


def install_error_handlers(app: FastAPI) -> None:
    """Make the app answer every error as a problem; GuardMiddleware answers unexpected ones."""

    @app.exception_handler(Problem)
    async def _on_problem(request: Request, error: Problem) -> ProblemResponse:
        return problem_response(request, error.status, error.detail, headers=error.headers)

    @app.exception_handler(HTTPException)
    async def _on_http_exception(request: Request, error: HTTPException) -> ProblemResponse:
        return problem_response(request, error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def _on_invalid_request(request: Request, error: RequestValidationError) -> ProblemResponse:
        # Without `input` and `ctx`: an answer must not echo a password that was too short.
        errors = [{"loc": e["loc"], "msg": e["msg"], "type": e["type"]} for e in error.errors()]
        return problem_response(request, 422, "The request is not valid.", errors=errors)

    @app.exception_handler(DBAPIError)
    @app.exception_handler(PoolTimeoutError)
    @app.exception_handler(DatabaseUnavailableError)
    async def _on_database_away(request: Request, error: Exception) -> ProblemResponse:
        """A database that cannot be reached, or is too busy, is a reason to try again and not an error of the app."""
        if isinstance(error, DBAPIError) and refers_to_nothing(error):
            return problem_response(request, 409, "What this belongs to was deleted meanwhile.")
        if isinstance(error, DBAPIError) and not is_passing(error):
            raise error
        log.error("database unavailable", extra={"error": type(error).__name__, "cause": first_line(error)[:200]})
        return problem_response(request, 503, "The database is not available; try again.", headers={"Retry-After": "1"})
