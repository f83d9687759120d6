"""`python -m app.migrate`: what a release runs before traffic moves. Safe to run twice, and by several at once.

The same as `alembic upgrade head`, with its outcome as one line of the log. With `--plan` it changes nothing and prints
the SQL that it would run.
"""

import asyncio
import logging
import sys
import traceback
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app.core.observability.logging import configure_logging, first_line
from app.core.settings import Settings, get_settings
from app.migrations.migration_lock import current

log = logging.getLogger("app.migrate")
MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS = MIGRATIONS / "versions"


def config(settings: Settings) -> Config:
    """Alembic's configuration for these settings, wherever the process was started."""
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.attributes["settings"] = settings
    return alembic


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Bring the database up to date. Processes that do so at once take turns. Not for a thread that runs a loop."""
    command.upgrade(config(settings), revision)


def plan(settings: Settings) -> None:
    """Print the SQL that `upgrade` would run on the database as it is. Not for a thread that runs a loop.

    Raises:
        CommandError: a revision asks the database, so that its SQL is not known before it runs.
    """
    try:
        command.upgrade(config(settings), f"{asyncio.run(current(settings))}:head", sql=True)
    except (CommandError, DBAPIError, OSError):
        raise
    except Exception as error:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        revisions = [f.f_globals["revision"] for f in frames if Path(f.f_code.co_filename).parent == VERSIONS]
        if not revisions:
            raise
        raise CommandError(
            f"revision {revisions[0]}: its SQL depends on the database, so there is none to show before it runs "
            f"({type(error).__name__}: {first_line(error)}); the plan ends before it"
        ) from error


def main() -> int:
    """Migrate, and say how it went."""
    settings = get_settings()
    is_plan = sys.argv[1:] == ["--plan"]
    configure_logging("WARNING" if is_plan else settings.log_level, settings.release)  # of a plan the SQL alone
    try:
        (plan if is_plan else upgrade)(settings)
    except (CommandError, DBAPIError, OSError) as error:
        failure = "the migration cannot be planned" if is_plan else "migration failed"
        log.error(failure, extra={"error": first_line(error)})
        return 1
    log.info("database is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
