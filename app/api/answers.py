"""Answers with a body as bytes: rendered once, cached as they are, and 304 for who has them already."""

import json
from typing import Any, NamedTuple

from fastapi import Request, Response
from pydantic import BaseModel

from app.api.etags import etag_of, none_match
from app.schemas.page import Page


class Answer(NamedTuple):
    """Headers and a JSON body."""

    headers: dict[str, str]
    body: bytes

    def pack(self) -> bytes:
        """As one value: the headers on the first line, as HTTP has them before the body."""
        return json.dumps(self.headers).encode() + b"\n" + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> "Answer":
        """What `pack` made."""
        headers, _, body = packed.partition(b"\n")
        return cls(json.loads(headers), body)

    def response(self, request: Request) -> Response:
        """The response to a request; 304 when If-None-Match names this answer."""
        headers = {"cache-control": "private, no-cache"} | self.headers
        etag = headers.get("etag")
        if etag and none_match(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type="application/json", headers=headers)


def render(request: Request, found: Any) -> Answer:
    """The answer of what a service found: a model (with its version as ETag, if it has one), or a page of a list."""
    if isinstance(found, BaseModel):
        version = getattr(found, "version", None)
        return Answer({} if version is None else {"etag": etag_of(version)}, found.model_dump_json().encode())
    if not isinstance(found, Page):
        raise TypeError("an answer is a model or a page")
    headers = {}
    if found.cursor is not None:
        url = request.url.include_query_params(cursor=found.cursor)
        # Relative: behind a load balancer this process does not know what its address is.
        headers["link"] = f'<{url.path}?{url.query}>; rel="next"'
    if found.total is not None:
        headers["x-total-count"] = str(found.total)
    return Answer(headers, found.json)
