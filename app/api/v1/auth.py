"""Logins."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import OAuth2PasswordRequestForm

from app.api.deps import LOGIN, ORDINARY, V1, ResourcesDep, UnitDep
from app.api.responses import errors
from app.schemas.user import RefreshRequest, TokenPair
from app.services import auth

router = APIRouter(prefix=f"{V1}/auth", tags=["auth"])
Form = Annotated[OAuth2PasswordRequestForm, Depends()]


@router.post("/token", operation_id="login", responses=errors(401), dependencies=[Depends(LOGIN)])
async def login(form: Form, resources: ResourcesDep, unit: UnitDep) -> TokenPair:
    """Log in: OAuth2's password flow, with the e-mail address as `username`."""
    return await auth.login(resources, unit, email=form.username, password=form.password)


@router.post("/refresh", operation_id="refreshToken", responses=errors(401), dependencies=[Depends(ORDINARY)])
async def refresh(data: RefreshRequest, resources: ResourcesDep, unit: UnitDep) -> TokenPair:
    """Swap a refresh token for new tokens. Each is good for once; a second use ends the whole login."""
    return await auth.refresh(resources, unit, token=data.refresh_token)


@router.post("/logout", operation_id="logout", status_code=204, responses=errors(), dependencies=[Depends(ORDINARY)])
async def logout(data: RefreshRequest, unit: UnitDep) -> None:
    """End the login that the refresh token belongs to."""
    await auth.logout(unit, token=data.refresh_token)
