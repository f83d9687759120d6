"""Accounts over the wire."""

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, SecretStr

# An address is one account however it is written.
Email = Annotated[EmailStr, AfterValidator(str.lower), Field(max_length=254, examples=["ada@example.com"])]
DisplayName = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$", examples=["Ada"])
]  # not only spaces; Postgres text cannot hold NUL
# The upper bound keeps a request from buying a lot of hashing.
NewPassword = Annotated[SecretStr, Field(min_length=12, max_length=128, examples=["correct horse battery"])]
GivenPassword = Annotated[SecretStr, Field(min_length=1, max_length=128)]


class UserCreate(BaseModel):
    """What it takes to register."""

    model_config = ConfigDict(extra="forbid")
    email: Email
    display_name: DisplayName
    password: NewPassword


class UserUpdate(BaseModel):
    """What a user may change about themselves; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    email: Email | None = None
    display_name: DisplayName | None = None


class PasswordChange(BaseModel):
    """A new password, and the old one as proof."""

    model_config = ConfigDict(extra="forbid")
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


class UserAdminUpdate(BaseModel):
    """What an admin may change about an account; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    is_active: bool | None = None
    is_admin: bool | None = None
