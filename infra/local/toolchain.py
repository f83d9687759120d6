"""The Pulumi engine: the one on PATH, else the official release, else built from its Go module."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from infra.errors import SlipwayError
from infra.local import go_tool
from infra.local.paths import ROOT, cache_dir, run_dir
from infra.local.progress import console, step

VERSION = "3.274.1"
"""The newest that the Go module proxy serves; uv.lock pins the newest SDK that PyPI has, which is not above it."""
LANGUAGE_HOST = "pulumi-language-python"
DOWNLOAD_SECONDS = 300


@dataclass(frozen=True)
class Toolchain:
    """Where the engine is, and what PATH needs so that it finds its Python language host."""

    path_entries: list[Path]
    pulumi: Path
    origin: str
    """For a person: which engine this is and where it comes from."""


def ensure_pulumi() -> Toolchain:
    """Find or get an engine of at least `VERSION`; an older one is reported and left alone.

    Raises `SlipwayError` when there is none and none can be had.
    """
    found, version = path_pulumi()
    if found:
        return _toolchain(found, f"pulumi {version} from PATH ({found})")
    if version:
        console.print(f"  The pulumi on PATH is {version}, older than {VERSION}: left as it is, not used here.")
    home = _home()
    with go_tool.alone("pulumi"):
        if not _pulumi(home).exists():
            _get(home)
    return _toolchain(_pulumi(home), f"pulumi {VERSION} ({_origin(home)})")


def path_pulumi() -> tuple[Path | None, str]:
    """The engine on PATH if it is new enough, and the version of the one that is there."""
    found = shutil.which("pulumi", path=_search_path())
    if not found:
        return None, ""
    version = _version(Path(found))
    words = ".".join(map(str, version)) or "of no known version"
    return (Path(found) if version >= _parse(VERSION) else None), words


def cached_pulumi() -> Path | None:
    """The engine in the cache, if it is there: for a report that must not install anything."""
    path = _pulumi(_home())
    return path if path.exists() else None


def _search_path() -> str:
    """PATH without this repository's own cache, which `eval "$(slipway env)"` puts there."""
    own = str(cache_dir())
    entries = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if not entry.startswith(own))


def _home() -> Path:
    return cache_dir() / "pulumi" / f"v{VERSION}"


def _pulumi(home: Path) -> Path:
    return home / "bin" / "pulumi"


def _origin(home: Path) -> str:
    built = not (home / "bin" / LANGUAGE_HOST).exists()
    return f"{'built from its Go module' if built else 'the official release'}, in {home}"


def _get(home: Path) -> None:
    """Fill `home` in one move, so that an interrupted download or build leaves nothing half done."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        fresh = Path(scratch) / "new"
        try:
            with step(f"Downloading the official pulumi {VERSION}"):
                _download(fresh)
        except SlipwayError as refusal:
            console.print(f"  The official release cannot be had here: {refusal.message}", markup=False)
            shutil.rmtree(fresh, ignore_errors=True)
            with step(f"Building pulumi {VERSION} from its Go module (about 4 min, once)"):
                _build(fresh)
        shutil.rmtree(home, ignore_errors=True)
        fresh.rename(home)


def _download(home: Path) -> None:
    """Use the Automation API's installer, in a process of its own so that a stalled download ends."""
    program = (
        "import sys; from semver import VersionInfo; from pulumi.automation import PulumiCommand;"
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(home), VERSION],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SlipwayError(f"no end after {DOWNLOAD_SECONDS} s") from None
    if done.returncode or _version(_pulumi(home)) < _parse(VERSION):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise SlipwayError(lines[-1].strip() if lines else f"exit code {done.returncode}")


def _build(home: Path) -> None:
    version = f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
    go_tool.build(
        "pulumi",
        "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        _pulumi(home),
        options=["-ldflags", f"-s -w -X {version}"],
        first=True,  # what a first `make up` waits for
        instead="Install pulumi from https://www.pulumi.com/docs/install/ or Go 1.26 from https://go.dev/dl/",
    )


def _toolchain(pulumi: Path, origin: str) -> Toolchain:
    """Add our language host where the engine has none beside it."""
    entries = [pulumi.parent]
    if not (pulumi.parent / LANGUAGE_HOST).exists():
        plugins = run_dir() / "bin"
        plugins.mkdir(exist_ok=True)
        write_launcher(plugins / LANGUAGE_HOST, "infra.local.language_host")
        entries.insert(0, plugins)
        origin += ", with this repository's Python language host"
    return Toolchain(entries, pulumi, origin)


def write_launcher(path: Path, module: str) -> None:
    """Write an executable that runs `module` of this repository with this Python, whoever starts it."""
    text = (
        "#!/bin/sh\n"
        f"PYTHONPATH={_quoted(ROOT)}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONSAFEPATH=1 "
        f'exec {_quoted(Path(sys.executable))} -m {module} "$@"\n'
    )
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def _version(pulumi: Path) -> tuple[int, ...]:
    try:
        done = subprocess.run([pulumi, "version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return _parse(done.stdout)


def _parse(text: str) -> tuple[int, ...]:
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, match.groups())) if match else ()
