"""`python -m app.seed`: a few accounts with items, for a database to try things on.

Logging in as them is not possible: their passwords are random and not shown. Accounts that exist stay as they are.
"""

import asyncio
import logging
import secrets
from contextlib import aclosing, closing

from app.core.db.database import Database
from app.core.observability.logging import configure_logging
from app.core.security.passwords import Passwords
from app.core.settings import Settings, get_settings
from app.crud import users as user_crud
from app.models import Item, ItemStatus, User

log = logging.getLogger("app.seed")

ACCOUNTS = {
    "ada@example.com": ["Lighthouse", "Analytical engine", "Notes on the engine"],
    "grace@example.com": ["Compiler", "Nanosecond of wire"],
    "linus@example.com": [],
}
"""Address -> titles of items; addresses that cannot exist (RFC 2606)."""


async def seed(settings: Settings) -> int:
    """Make those accounts that are not there; how many that were."""
    created = 0
    async with aclosing(Database(settings)) as database:
        for address, titles in ACCOUNTS.items():
            async with database.unit() as unit:
                if await user_crud.by_email(unit.session, address) is not None:
                    continue
                name = address.split("@", maxsplit=1)[0].capitalize()
                with closing(Passwords()) as passwords:
                    hashed = await passwords.hash(secrets.token_urlsafe())
                user = User(email=address, display_name=name, password_hash=hashed)
                unit.session.add(user)
                await unit.session.flush()
                unit.session.add_all(Item(owner_id=user.id, title=title, status=ItemStatus.ACTIVE) for title in titles)
                created += 1
    return created


def main() -> None:
    """Seed, and say how many accounts are new."""
    settings = get_settings()
    configure_logging(settings.log_level, settings.release)
    log.info("seeded", extra={"accounts": asyncio.run(seed(settings))})


if __name__ == "__main__":
    main()
