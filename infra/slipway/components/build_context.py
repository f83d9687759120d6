"""Creates an image's build context: a copy of the source folder without the paths of .dockerignore.

It is the same on every machine. The builder, the hash in the image's tag and the plan all read this copy, so that none
of them sees another file than the others.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from slipway.components.dockerignore import IgnorePatterns, read_dockerignore
from slipway.config.errors import SlipwayError

ALWAYS_IGNORED_PATTERNS = [
    ".git",
    "**/.git",
    "**/.venv",
    "**/__pycache__",
    "**/*.pyc",
    "**/.env",
    "**/.data",
    "**/.DS_Store",
]
"""Patterns of files that no image needs, or that must not get into one: a developer's secrets."""
KIT_FOLDER = ".slipway"
"""Folder of the kit's own files in the context."""
MAX_KEPT_CONTEXTS = 6
"""Number of newest copies that are kept: a running build may still read one."""


def create_build_context(
    source: Path,
    dockerfile: Path,
    *,
    extra: Mapping[str, str | Path],
    dockerfile_suffix: str,
    hash_input: str,
    into: Path,
) -> tuple[Path, str]:
    """Copies the context to a folder below `into`, and returns that folder and its hash of twelve hex digits.

    `dockerfile` is copied to `.slipway/Dockerfile` with `dockerfile_suffix` behind it. `extra`: name in `.slipway` ->
    text, or path of a file. `hash_input`: what else decides how the image comes out. Modes become 0644, or 0755 for
    files that their owner may execute: the container's user may read them all.

    Raises:
        SlipwayError: A file cannot be copied, or .dockerignore cannot be read. The error names the file.
    """
    into.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="new-", dir=into))
    try:
        for path in _list_context_files(source, dockerfile):
            _copy_file(source, path, scratch)
        kit = scratch / KIT_FOLDER
        kit.mkdir()
        for name, content in extra.items():
            text = content if isinstance(content, str) else content.read_text(encoding="utf-8")
            (kit / name).write_text(text, encoding="utf-8")
        (kit / "Dockerfile").write_text(
            f"{dockerfile.read_text(encoding='utf-8')}\n{dockerfile_suffix}", encoding="utf-8"
        )
        tag = _hash_context(scratch, hash_input)
        copy = into / tag
        if not copy.exists():
            for folder in (scratch, *(path for path in scratch.rglob("*") if path.is_dir() and not path.is_symlink())):
                folder.chmod(0o755)
            scratch.replace(copy)
        os.utime(copy)  # the newest copies are kept
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for old in sorted(into.iterdir(), key=lambda path: path.stat().st_mtime)[:-MAX_KEPT_CONTEXTS]:
        shutil.rmtree(old, ignore_errors=True)
    return copy, tag


def _list_context_files(source: Path, dockerfile: Path) -> list[Path]:
    """Returns the files and symbolic links of the context, relative to it and sorted.

    `<Dockerfile>.dockerignore` next to the Dockerfile takes precedence over .dockerignore, as for BuildKit.
    """
    candidates = (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), source / ".dockerignore")
    ignore_file = next((path for path in candidates if path.is_file()), None)
    patterns = read_dockerignore(ignore_file) if ignore_file else []
    files = IgnorePatterns([*patterns, *ALWAYS_IGNORED_PATTERNS, KIT_FOLDER]).list_files(source)
    return [path for path in files if path != Path(".dockerignore")]


def _copy_file(source: Path, path: Path, scratch: Path) -> None:
    shown = f"{source.name}/{str(path).encode(errors='surrogateescape').decode(errors='replace')}"
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise SlipwayError(
            f"The name of {shown} is not UTF-8, and no image can be built with it.",
            "Rename the file, or leave it out with a line in .dockerignore.",
        ) from None
    target = scratch / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if (source / path).is_symlink():
            target.symlink_to((source / path).readlink())
            return
        shutil.copyfile(source / path, target)
        target.chmod(0o755 if (source / path).stat().st_mode & 0o100 else 0o644)
    except (OSError, shutil.SpecialFileError) as error:
        raise SlipwayError(
            f"{shown} cannot be read for the image: {error}",
            "Make it readable, or leave it out with a line in .dockerignore.",
        ) from None


def _hash_context(folder: Path, hash_input: str) -> str:
    """Returns a hash of names, links, modes and bytes of all files in the copy, and of `hash_input`."""
    digest = hashlib.sha256(hash_input.encode())
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            digest.update(f"\0{name} -> {path.readlink()}\0".encode())
        elif path.is_file():
            digest.update(f"\0{name} {'x' if path.stat().st_mode & 0o100 else '-'}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
