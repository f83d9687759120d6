"""What the embedded default keeps on disk: one folder, with the SQLite database and the key that signs tokens.

Every process that works with the same folder gets the same key, so any number of workers may be started.
"""

import fcntl
import os
import secrets
import tempfile
from pathlib import Path

FOLDER = ".data"


def find_folder(given: Path | None, name: str) -> Path | None:
    """Where to keep it: the folder that was given, else one below the working directory, else one of this user and
    app in the system's temporary directory, as in a container whose image is read-only. None when none is writable."""
    if given is not None:
        return given.absolute() if _usable(given.absolute()) else None
    here = Path(FOLDER).absolute()
    if _usable(here):
        return here
    try:
        temporary = Path(tempfile.gettempdir()) / f"{name}-{os.geteuid()}"
    except FileNotFoundError:  # no temporary directory can be written to
        return None
    # All users share the temporary directory: a folder of that name may be another user's trap.
    trap = temporary.exists() and (temporary.stat().st_uid != os.geteuid() or temporary.is_symlink())
    return temporary if _usable(temporary) and not trap else None


def _usable(folder: Path) -> bool:
    """Whether the folder can be written to, or be made. Nothing is made yet: settings are read before they are used."""
    place = next(place for place in (folder, *folder.parents) if place.exists())
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def prepare(folder: Path) -> None:
    """Make the folder, for this user alone, and keep it out of version control."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (ignored := folder / ".gitignore").exists():
        ignored.write_text("*\n")


def shared_key(folder: Path) -> str:
    """The folder's signing key. The first process makes it; others wait for that."""
    prepare(folder)
    with open(os.open(folder / "signing-key", os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:  # noqa: PTH123 - its mode
        fcntl.flock(file, fcntl.LOCK_EX)
        key = file.read()
        if not key:
            key = secrets.token_urlsafe(48)
            file.write(key)
    return key
