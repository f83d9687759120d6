"""`python -m app.migrate`: what a release runs before traffic moves. Safe to run twice, and by several at once.

The same as `alembic upgrade head`, with its outcome as one line of the log. With `--plan` it changes nothing and prints
the SQL that it would run.
"""

import asyncio
import logging
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from app.core.logging import configure_logging
from app.core.settings import Settings, get_settings
from app.migrations.guard import current

log = logging.getLogger("app.migrate")


def config(settings: Settings) -> Config:
    """Alembic's configuration for these settings, wherever the process was started."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    found.attributes["settings"] = settings
    return found


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Bring the database up to date. Processes that do so at once take turns. Not for a thread that runs a loop."""
    command.upgrade(config(settings), revision)


def plan(settings: Settings) -> None:
    """Print the SQL that `upgrade` would run on the database as it is. Not for a thread that runs a loop."""
    command.upgrade(config(settings), f"{asyncio.run(current(settings))}:head", sql=True)


def main() -> int:
    """Migrate, and say how it went."""
    settings = get_settings()
    if sys.argv[1:] == ["--plan"]:
        configure_logging("WARNING", settings.release)  # the SQL is what is asked for
        plan(settings)
        return 0
    configure_logging(settings.log_level, settings.release)
    try:
        upgrade(settings)
    except CommandError as error:
        log.error("migration failed", extra={"error": str(error)})
        return 1
    log.info("database is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
