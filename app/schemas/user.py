"""Accounts and logins over the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.core.security.normalization import normal_address
from app.schemas.base import UNSET, Line, PatchModel, RequestModel

Email = Annotated[
    str,
    Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    AfterValidator(normal_address),
]
DisplayName = Annotated[Line, Field(max_length=100, examples=["Ada"])]
# The upper bound keeps a request from buying a lot of hashing.
NewPassword = Annotated[SecretStr, Field(min_length=12, max_length=128, examples=["correct horse battery"])]
GivenPassword = Annotated[SecretStr, Field(min_length=1, max_length=128)]


class UserCreate(RequestModel):
    """What it takes to register."""

    email: Email
    display_name: DisplayName
    password: NewPassword


class UserUpdate(PatchModel):
    """What a user may change about themselves; what is left out stays."""

    email: Email = UNSET
    display_name: DisplayName = UNSET


class PasswordChange(RequestModel):
    """A new password, and the old one as proof."""

    current_password: GivenPassword
    new_password: NewPassword


class UserPublic(BaseModel):
    """What anybody may see: never an address."""

    model_config = ConfigDict(from_attributes=True)
    id: uuid.UUID
    display_name: str
    created_at: datetime


class UserPrivate(UserPublic):
    """What users see of themselves, and admins of everyone."""

    email: str
    is_active: bool
    is_admin: bool
    last_login_at: datetime | None


class ActiveUser(UserPrivate):
    """The account that a request speaks for, checked: what `CurrentUser` gives. Never an answer itself."""

    token_version: int


class UserAdminUpdate(PatchModel):
    """What an admin may change about an account; what is left out stays."""

    is_active: bool = UNSET
    is_admin: bool = UNSET


class TokenPair(BaseModel):
    """What a login or a refresh gives. Field names are OAuth2's."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the token's kind
    expires_in: int = Field(description="Seconds that the access token is valid for")
    refresh_token: str = Field(description="Good for one refresh; the answer has the next one")


class RefreshRequest(RequestModel):
    """The refresh token of the last login or refresh."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=128)]
