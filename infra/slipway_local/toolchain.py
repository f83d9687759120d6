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

from slipway.config.project import run_dir
from slipway_local import go_build
from slipway_local.paths import PACKAGE_PARENT, cache_dir
from slipway_local.step_timer import console, step

PULUMI_VERSION = "3.274.1"
"""The newest that the Go module proxy serves; uv.lock pins the newest SDK that PyPI has, which is not above it."""
LANGUAGE_HOST = "pulumi-language-python"
DOWNLOAD_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Toolchain:
    """Where the engine is, and what PATH needs so that it finds its Python language host."""

    path_entries: list[Path]
    pulumi: Path
    origin: str
    """For a person: which engine this is and where it comes from."""


def ensure_pulumi() -> Toolchain:
    """Finds or get an engine of at least `VERSION`; an older one is reported and left alone.

    Raises `SlipwayError` when there is none and none can be had.
    """
    found, version = find_pulumi_on_path()
    if found:
        return _make_toolchain(found, f"pulumi {version} from PATH ({found})")
    if version:
        console.print(f"  The pulumi on PATH is {version}, older than {PULUMI_VERSION}: left as it is, not used here.")
    home = _install_dir()
    with go_build.hold_build_lock("pulumi"):
        if not _pulumi_binary(home).exists():
            _install_pulumi(home)
    return _make_toolchain(_pulumi_binary(home), f"pulumi {PULUMI_VERSION} ({_describe_origin(home)})")


def find_pulumi_on_path() -> tuple[Path | None, str]:
    """Returns the engine on PATH if it is new enough, and the version of the installed one."""
    found = shutil.which("pulumi", path=_search_path())
    if not found:
        return None, ""
    version = _read_version(Path(found))
    words = ".".join(map(str, version)) or "of no known version"
    return (Path(found) if version >= _parse_version(PULUMI_VERSION) else None), words


def find_cached_pulumi() -> Path | None:
    """Returns the engine in the cache, if it is there: for a report that must not install anything."""
    path = _pulumi_binary(_install_dir())
    return path if path.exists() else None


def _search_path() -> str:
    """PATH without this repository's own cache, which `eval "$(slipway env)"` puts there."""
    own = str(cache_dir())
    entries = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if not entry.startswith(own))


def _install_dir() -> Path:
    return cache_dir() / "pulumi" / f"v{PULUMI_VERSION}"


def _pulumi_binary(home: Path) -> Path:
    return home / "bin" / "pulumi"


def _describe_origin(home: Path) -> str:
    built = not (home / "bin" / LANGUAGE_HOST).exists()
    return f"{'built from its Go module' if built else 'the official release'}, in {home}"


def _install_pulumi(home: Path) -> None:
    """Fill `home` in one move, so that an interrupted download or build leaves nothing half done."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        fresh = Path(scratch) / "new"
        with step(f"Downloading the official pulumi {PULUMI_VERSION}"):
            refusal = _download_pulumi(fresh)
        if refusal:
            console.print(f"  The official release cannot be had here: {refusal}", markup=False)
            shutil.rmtree(fresh, ignore_errors=True)
            with step(f"Building pulumi {PULUMI_VERSION} from its Go module (about 4 min, once)"):
                _build_pulumi(fresh)
        shutil.rmtree(home, ignore_errors=True)
        fresh.rename(home)


def _download_pulumi(home: Path) -> str:
    """Downloads with the Automation API's installer, and returns why it could not; empty when it worked.

    The installer is a process of its own, so that a stalled download ends.
    """
    program = (
        "import sys; from semver import VersionInfo; from pulumi.automation import PulumiCommand;"
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(home), PULUMI_VERSION],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {DOWNLOAD_TIMEOUT_SECONDS} s"
    if done.returncode or _read_version(_pulumi_binary(home)) < _parse_version(PULUMI_VERSION):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit code {done.returncode}"
    return ""


def _build_pulumi(home: Path) -> None:
    version = f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI_VERSION}"
    go_build.build_binary(
        "pulumi",
        "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        _pulumi_binary(home),
        options=["-ldflags", f"-s -w -X {version}"],
        high_priority=True,  # what a first `slipway up` waits for
        alternative="Install pulumi from https://www.pulumi.com/docs/install/ or Go 1.26 from https://go.dev/dl/",
    )


def _make_toolchain(pulumi: Path, origin: str) -> Toolchain:
    """Adds our language host if the engine has none next to it."""
    entries = [pulumi.parent]
    if not (pulumi.parent / LANGUAGE_HOST).exists():
        plugins = run_dir() / "bin"
        plugins.mkdir(exist_ok=True)
        write_launcher(plugins / LANGUAGE_HOST, "slipway_local.language_host")
        entries.insert(0, plugins)
        origin += ", with this repository's Python language host"
    return Toolchain(entries, pulumi, origin)


def write_launcher(path: Path, module: str) -> None:
    """Writes an executable that runs `module` of this repository with this Python for all callers."""
    text = (
        "#!/bin/sh\n"
        f"PYTHONPATH={_shell_quote(PACKAGE_PARENT)}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONSAFEPATH=1 "
        f'exec {_shell_quote(Path(sys.executable))} -m {module} "$@"\n'
    )
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _shell_quote(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def _read_version(pulumi: Path) -> tuple[int, ...]:
    try:
        done = subprocess.run([pulumi, "version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return _parse_version(done.stdout)


def _parse_version(text: str) -> tuple[int, ...]:
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, match.groups())) if match else ()
