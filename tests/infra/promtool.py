"""promtool, which checks Prometheus's rules and runs their tests: that on PATH, else Debian's, kept in the cache."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from slipway_local.paths import cache_dir


def promtool(*arguments: str | Path) -> str:
    """What it prints; fails with its words where it finds something wrong."""
    done = subprocess.run([_binary(), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _binary() -> Path:
    found = shutil.which("promtool")
    if found:
        return Path(found)
    cached = cache_dir() / "promtool"
    if not cached.exists():
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            # Not installed: the package would start a server.
            for command in (
                ["apt-get", "update", "-qq"],
                ["apt-get", "download", "-qq", "prometheus"],
                ["sh", "-c", "dpkg-deb --extract prometheus_*.deb ."],
            ):
                subprocess.run(command, cwd=scratch, check=True, capture_output=True)
            (Path(scratch) / "usr" / "bin" / "promtool").rename(cached)
    return cached
