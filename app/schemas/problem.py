"""Errors over the wire (RFC 9457)."""

from pydantic import BaseModel, Field


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
