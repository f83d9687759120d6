"""`python -m app.migrate`: what a release runs before traffic moves. Safe to run twice, and by several at once.

The same as `alembic upgrade head`, with its outcome as one line of the log. With `--plan` it changes nothing and prints
the SQL that it would run.
"""

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app.core.observability.logging import configure_logging, first_line
from app.core.settings import Settings, get_settings
from app.migrations.migration_lock import current

log = logging.getLogger("app.migrate")


def config(settings: Settings) -> Config:
    """Alembic's configuration for these settings, wherever the process was started."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
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
        revision = _revision_in(error)
        if revision is None:
            raise
        raise CommandError(
            f"revision {revision}: its SQL depends on the database, so there is none to show before it runs "
            f"({type(error).__name__}: {first_line(error)}); the plan ends before it"
        ) from error


def _revision_in(error: Exception) -> str | None:
    """The revision whose file an error was raised in."""
    folder = Path(__file__).parent / "migrations" / "versions"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if Path(frame.f_code.co_filename).parent == folder:
            return str(frame.f_globals.get("revision"))
    return None


def main() -> int:
    """Migrate, and say how it went."""
    settings = get_settings()
    if sys.argv[1:] == ["--plan"]:
        configure_logging("WARNING", settings.release)  # the SQL is what is asked for
        return _exit_code_of(lambda: plan(settings), "the migration cannot be planned")
    configure_logging(settings.log_level, settings.release)
    code = _exit_code_of(lambda: upgrade(settings), "migration failed")
    if code == 0:
        log.info("database is up to date")
    return code


def _exit_code_of(work: Callable[[], None], failure: str) -> int:
    """The exit code: what went wrong is one line of the log."""
    try:
        work()
    except (CommandError, DBAPIError, OSError) as error:
        log.error(failure, extra={"error": first_line(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
