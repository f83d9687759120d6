"""Logins, refresh with rotation and reuse detection, logout."""

import uuid
from datetime import timedelta

from app.core.database import UnitOfWork
from app.core.errors import Problem
from app.core.security import Caller, Passwords, Tokens, fingerprint, new_refresh_token
from app.crud import tokens as token_crud
from app.crud import users as user_crud
from app.models import RefreshToken, User
from app.models.base import utc_now
from app.schemas.auth import TokenPair

BEARER = {"WWW-Authenticate": "Bearer"}


def not_authenticated() -> Problem:
    """The answer to a token that is missing, expired, or of an account that does not stand any more."""
    return Problem(401, "A valid access token is needed.", headers=BEARER)


async def login(
    unit: UnitOfWork, *, email: str, password: str, passwords: Passwords, tokens: Tokens, refresh_lifetime: int
) -> TokenPair:
    """Check a password. Unknown address, wrong password and inactive account get the same answer in the same time."""
    user = await user_crud.by_email(unit.session, email.strip().lower())
    fits, better = await passwords.verify(password, user.password_hash if user else None)
    if user is None or not fits or not user.is_active:
        raise Problem(401, "Address or password is wrong.", headers=BEARER)
    if better is not None:
        user.password_hash = better
    user.last_login_at = utc_now()
    await token_crud.delete_expired(unit.session, user.id, utc_now())
    return _pair(unit, user, tokens, uuid.uuid4(), refresh_lifetime)


async def refresh(unit: UnitOfWork, *, token: str, tokens: Tokens, refresh_lifetime: int) -> TokenPair:
    """Swap a refresh token for the next. One that was used before is stolen, or its thief has: its family ends."""
    known = await token_crud.by_hash(unit.session, fingerprint(token))
    if known is None or known.expires_at < utc_now():
        raise Problem(401, "The refresh token is not valid.", headers=BEARER)
    if not await token_crud.use(unit.session, known.id, utc_now()):
        await token_crud.revoke_family(unit.session, known.family_id)
        raise Problem(401, "The refresh token was used before: log in again.", headers=BEARER, keeps_changes=True)
    user = await user_crud.get(unit.session, known.user_id)
    if user is None or not user.is_active:
        raise Problem(401, "The refresh token is not valid.", headers=BEARER)
    return _pair(unit, user, tokens, known.family_id, refresh_lifetime)


async def logout(unit: UnitOfWork, *, token: str) -> None:
    """End the login that a refresh token belongs to. An unknown token is no error: the login is over either way."""
    known = await token_crud.by_hash(unit.session, fingerprint(token))
    if known is not None:
        await token_crud.revoke_family(unit.session, known.family_id)


def _pair(unit: UnitOfWork, user: User, tokens: Tokens, family_id: uuid.UUID, lifetime: int) -> TokenPair:
    refresh_token = new_refresh_token()
    unit.session.add(
        RefreshToken(
            user_id=user.id,
            family_id=family_id,
            token_hash=fingerprint(refresh_token),
            expires_at=utc_now() + timedelta(seconds=lifetime),
        )
    )
    access = tokens.issue(Caller(user.id, user.token_version, user.is_admin))
    return TokenPair(access_token=access, expires_in=tokens.lifetime, refresh_token=refresh_token)
