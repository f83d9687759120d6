"""Prometheus for its stand-in image: Debian's is too old to find ECS's tasks, so it is built from its Go module."""

from __future__ import annotations

import tempfile
from pathlib import Path

from infra.local import go_tool
from infra.local.paths import cache_dir
from infra.local.progress import step

VERSION = "3.16.0"
PACKAGE = "github.com/prometheus/prometheus/cmd/prometheus"
TAGS = "remove_all_sd,enable_aws_sd"
"""Of its discoveries AWS's alone: a third of the size, and of the time."""


def ensure_prometheus() -> Path:
    """The binary in the cache, built where it is not there: about 8 minutes of one core, once."""
    binary = cache_dir() / "prometheus" / f"prometheus-{VERSION}"
    with go_tool.alone("prometheus"):
        if not binary.exists():
            binary.parent.mkdir(parents=True, exist_ok=True)
            with (
                step(f"Building Prometheus {VERSION} from its Go module (about 8 min of one core, once)"),
                tempfile.TemporaryDirectory(dir=binary.parent) as scratch,
            ):
                fresh = Path(scratch) / "prometheus"
                flags = f"-s -w -X github.com/prometheus/common/version.Version={VERSION}"
                instead = "Load the image prom/prometheus into Docker, install Go 1.26, or set monitoring to false"
                options = ["-tags", TAGS, "-ldflags", flags]
                go_tool.build("prometheus", PACKAGE, fresh, options=options, instead=instead, static=True)
                fresh.rename(binary)
    return binary
