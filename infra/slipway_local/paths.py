"""Where the local AWS keeps downloads and builds, and where its code is."""

from __future__ import annotations

import os
from pathlib import Path

from slipway.config.errors import SlipwayError
from slipway.config.project import make_private_dir, run_dir

PACKAGE_PARENT = Path(__file__).resolve().parents[1]
"""The folder to put on PYTHONPATH for a process that runs this package: a checkout's infra/, or site-packages."""

CACHE_ADVICE = "Name a folder that you can write to: export SLIPWAY_CACHE=/path/to/folder"


def cache_dir() -> Path:
    """Returns the folder of downloads and builds that survive `slipway down`: SLIPWAY_CACHE, else the XDG cache folder.

    Raises `SlipwayError` where it cannot be created or written.
    """
    explicit = os.environ.get("SLIPWAY_CACHE")
    base = Path(explicit) if explicit else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "slipway"
    try:
        folder = make_private_dir(base.expanduser())
    except SlipwayError as error:
        raise SlipwayError(error.message, CACHE_ADVICE) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home directory
        reason = getattr(error, "strerror", None) or str(error)
        raise SlipwayError(f"The cache folder {base} cannot be created: {reason}.", CACHE_ADVICE) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SlipwayError(f"The cache folder {folder} cannot be written.", CACHE_ADVICE)
    return folder


def usage_file() -> Path:
    """Returns the file where the emulator keeps which actions each role used, as JSON lines: `make down` removes it."""
    return run_dir() / "rights.jsonl"
