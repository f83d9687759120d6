"""Errors in the API's documentation (RFC 9457)."""

from typing import Any

from pydantic import BaseModel, Field

from app.core.http.problems import PROBLEM_JSON

WORDS = {
    304: "Not changed since the entity tag in If-None-Match",
    400: "A header or the body cannot be read",
    401: "No valid access token",
    403: "Not allowed to this caller",
    404: "There is no such thing for this caller",
    409: "It conflicts with what is there",
    410: "It was there and is gone",
    412: "Changed since the entity tag in If-Match",
    413: "The body is too large",
    422: "The request is not valid",
    429: "Too many requests; Retry-After says when to come back",
    503: "A dependency is not available; Retry-After says when to come back",
}
EVERYWHERE = (400, 413, 422, 429, 503)


class InvalidField(BaseModel):
    """A part of the request that is not valid."""

    loc: list[str | int]
    msg: str
    type: str


class ProblemRead(BaseModel):
    """An error, as application/problem+json."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such item."])
    instance: str = Field(examples=["/api/v1/items/0"])
    request_id: str = Field(description="What to name when asking for help; every log line has it")
    errors: list[InvalidField] | None = None


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: the statuses given, and those that any route may answer."""
    documented: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, *EVERYWHERE}):
        content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemRead"}}}
        documented[status] = {"description": WORDS[status]} | ({} if status == 304 else {"content": content})
    return documented


def add_problem_schema(schema: dict[str, Any]) -> None:
    """Put the schema that `errors` refers to into the OpenAPI document."""
    model = ProblemRead.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = model.pop("$defs", {})
    schema.setdefault("components", {}).setdefault("schemas", {}).update({"ProblemRead": model, **definitions})
