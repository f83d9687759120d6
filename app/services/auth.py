"""Logins, refresh with rotation and reuse detection, logout.

Whatever gives or ends logins of an account locks its row first. So they come one after the other: no login that began
with the old password, and no refresh, outlives a change of the password.
"""

import uuid
from datetime import timedelta

from app.core.db.database import UnitOfWork
from app.core.errors import BEARER, Problem
from app.core.security.normalization import normal_address
from app.core.security.tokens import TokenClaims, fingerprint, new_refresh_token
from app.crud import tokens as token_crud
from app.crud import users as user_crud
from app.models import RefreshToken, User, utc_now
from app.resources import Resources
from app.schemas.user import TokenPair


async def login(resources: Resources, unit: UnitOfWork, *, email: str, password: str) -> TokenPair:
    """Check a password. Unknown address, wrong password and inactive account get the same answer in the same time."""
    # Read on a connection that is given back at once: hashes take 20 ms each, and wait for one another.
    account = await user_crud.read_credentials(resources.database.reader, User.email == _normal(email))
    fits, better = await resources.passwords.verify(password, account["password_hash"] if account else None)
    user = None
    if account is not None and fits:
        user = await user_crud.lock(unit.session, account["id"], token_version=account["token_version"])
    if user is None:
        raise Problem(401, "Address or password is wrong.", headers=BEARER)
    if better is not None:
        user.password_hash = better
    user.last_login_at = utc_now()
    await token_crud.delete_expired(unit.session, user.id)
    return _pair(resources, unit, user, family_id=uuid.uuid4())


def _normal(address: str) -> str:
    """As it was registered; empty for what is no address, which no account has."""
    try:
        return normal_address(address)
    except ValueError:
        return ""


async def refresh(resources: Resources, unit: UnitOfWork, *, token: str) -> TokenPair:
    """Swap a refresh token for the next. Reuse of one means that it was stolen: its whole family is revoked."""
    user, stored = await _lock(unit, token)
    if user is None or stored is None or not user.is_active or stored.expires_at < utc_now():
        raise Problem(401, "The refresh token is not valid.", headers=BEARER)
    if stored.used_at is not None:
        await token_crud.revoke_family(unit.session, stored.family_id)
        raise Problem(401, "The refresh token was used before: log in again.", headers=BEARER, keeps_changes=True)
    stored.used_at = utc_now()
    return _pair(resources, unit, user, family_id=stored.family_id)


async def logout(unit: UnitOfWork, *, token: str) -> None:
    """End the login that a refresh token belongs to. An unknown token is no error: the login is over either way."""
    _, stored = await _lock(unit, token)
    if stored is not None:
        await token_crud.revoke_family(unit.session, stored.family_id)


async def _lock(unit: UnitOfWork, token: str) -> tuple[User | None, RefreshToken | None]:
    """The account that a refresh token belongs to, locked, and the token as it is from then on."""
    token_hash = fingerprint(token)
    owner = await token_crud.owner(unit.session, token_hash)
    if owner is None:
        return None, None
    user = await user_crud.lock(unit.session, owner)
    return user, await token_crud.by_hash(unit.session, token_hash)


def _pair(resources: Resources, unit: UnitOfWork, user: User, *, family_id: uuid.UUID) -> TokenPair:
    refresh_token = new_refresh_token()
    lifetime = timedelta(seconds=resources.settings.refresh_token_lifetime)
    unit.session.add(
        RefreshToken(
            user_id=user.id,
            family_id=family_id,
            token_hash=fingerprint(refresh_token),
            expires_at=utc_now() + lifetime,
        )
    )
    tokens = resources.tokens
    access = tokens.issue(TokenClaims(user.id, user.token_version, user.is_admin))
    return TokenPair(access_token=access, expires_in=tokens.lifetime, refresh_token=refresh_token)
