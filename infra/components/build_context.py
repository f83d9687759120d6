"""What an image's build sees: a copy of the source folder, as its .dockerignore has it and the same on every machine.

The builder, the hash that the image is tagged with and the plan all look at this copy, so that none of them sees
another file than the others.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from docker.utils.build import PatternMatcher

from infra.errors import SlipwayError

ALWAYS_LEFT_OUT = [".git", "**/.git", "**/.venv", "**/__pycache__", "**/*.pyc", "**/.env", "**/.data", "**/.DS_Store"]
"""What no image needs, and what must not get into one: a laptop's secrets."""
KIT_FOLDER = ".slipway"
"""In the context: the kit's own files."""
KEPT = 6
"""Copies that stay, so that one that a running build still reads is not taken away."""


def build_context(
    source: Path, dockerfile: Path, *, extra: Mapping[str, str | Path], appended: str, told: str, into: Path
) -> tuple[Path, str]:
    """Copy what the build sees below `into`, and return the copy's path and its hash of twelve hex digits.

    `dockerfile` lies in the copy as `.slipway/Dockerfile`, with `appended` behind it; `extra` are files of the kit
    (text, or the path of one) by their name in `.slipway`; `told` is what else decides how the image comes out, and
    goes into the hash. Modes are 0644, or 0755 for what its owner may run: a file that only its owner may read here
    is read by the container's user as well. Raises `SlipwayError` that names the file for one that cannot be copied.
    """
    into.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="new-", dir=into))
    try:
        for path in _seen(source, dockerfile):
            _copy(source, path, scratch)
        kit = scratch / KIT_FOLDER
        kit.mkdir()
        for name, content in extra.items():
            text = content if isinstance(content, str) else content.read_text(encoding="utf-8")
            (kit / name).write_text(text, encoding="utf-8")
        (kit / "Dockerfile").write_text(f"{dockerfile.read_text(encoding='utf-8')}\n{appended}", encoding="utf-8")
        tag = _hash(scratch, told)
        copy = into / tag
        if not copy.exists():
            for folder in (scratch, *(path for path in scratch.rglob("*") if path.is_dir() and not path.is_symlink())):
                folder.chmod(0o755)
            scratch.replace(copy)
        os.utime(copy)  # the newest ones stay
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for old in sorted(into.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return copy, tag


def _seen(source: Path, dockerfile: Path) -> list[Path]:
    """The files and links of the context, relative to it, in their order."""
    own = (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), source / ".dockerignore")
    ignore = next((path for path in own if path.is_file()), None)
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    matcher = PatternMatcher([*patterns, *ALWAYS_LEFT_OUT, KIT_FOLDER])
    names = [Path(name) for name in matcher.walk(str(source)) if name != ".dockerignore"]
    return sorted(name for name in names if (source / name).is_symlink() or not (source / name).is_dir())


def _copy(source: Path, path: Path, scratch: Path) -> None:
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


def _hash(folder: Path, told: str) -> str:
    """Over names, links, modes and bytes of everything in the copy, and over what the build is told."""
    digest = hashlib.sha256(told.encode())
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            digest.update(f"\0{name} -> {path.readlink()}\0".encode())
        elif path.is_file():
            digest.update(f"\0{name} {'x' if path.stat().st_mode & 0o100 else '-'}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
