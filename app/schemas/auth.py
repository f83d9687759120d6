"""Tokens over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.schemas.base import RequestModel


class TokenPair(BaseModel):
    """What a login or a refresh gives. Field names are OAuth2's."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the token's kind
    expires_in: int = Field(description="Seconds that the access token is valid for")
    refresh_token: str = Field(description="Good for one refresh; the answer has the next one")


class RefreshRequest(RequestModel):
    """The refresh token of the last login or refresh."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=128)]
