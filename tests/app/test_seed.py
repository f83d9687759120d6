"""`python -m app.seed`: what a database that is there to be looked at begins with."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from app import seed
from app.core.db.database import Database
from app.core.settings import Environment, Settings
from app.migrate import upgrade
from app.models import Item, User


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = Settings(environment=Environment.LOCAL, data_dir=tmp_path)
    upgrade(found)
    monkeypatch.setattr(seed, "get_settings", lambda: found)
    monkeypatch.setattr(sys, "argv", ["seed"])
    return found


def test_accounts_and_items_are_made_once_and_nobody_knows_their_passwords(settings: Settings) -> None:
    assert asyncio.run(seed.seed(settings)) == len(seed.ACCOUNTS)
    seed.main()

    async def found() -> tuple[list[User], list[Item]]:
        database = Database(settings)
        try:
            async with database.unit() as unit:
                users, items = await unit.session.scalars(select(User)), await unit.session.scalars(select(Item))
                return list(users), list(items)
        finally:
            await database.aclose()

    users, items = asyncio.run(found())
    assert {user.email for user in users} == set(seed.ACCOUNTS)
    assert sorted(item.title for item in items) == sorted(
        title for titles in seed.ACCOUNTS.values() for title in titles
    )
    assert len({user.password_hash for user in users}) == len(users)
    assert all(user.password_hash.startswith("$argon2id$") for user in users)
    assert not any(user.is_admin for user in users)
