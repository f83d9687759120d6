"""Accounts over the wire."""

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from app.core.text import normal_address
from app.schemas.base import LEFT_OUT, Change, Input, Line

Email = Annotated[
    str,
    Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    AfterValidator(normal_address),
]
DisplayName = Annotated[Line, Field(max_length=100, examples=["Ada"])]
# The upper bound keeps a request from buying a lot of hashing.
NewPassword = Annotated[SecretStr, Field(min_length=12, max_length=128, examples=["correct horse battery"])]
GivenPassword = Annotated[SecretStr, Field(min_length=1, max_length=128)]


class UserCreate(Input):
    """What it takes to register."""

    email: Email
    display_name: DisplayName
    password: NewPassword


class UserUpdate(Change):
    """What a user may change about themselves; what is left out stays."""

    email: Email = LEFT_OUT
    display_name: DisplayName = LEFT_OUT


class PasswordChange(Input):
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


class UserAdminUpdate(Change):
    """What an admin may change about an account; what is left out stays."""

    is_active: bool = LEFT_OUT
    is_admin: bool = LEFT_OUT
