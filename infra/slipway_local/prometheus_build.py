"""Prometheus for its stand-in image: Debian's is too old to find ECS's tasks, so it is built from its Go module."""

from __future__ import annotations

import tempfile
from pathlib import Path

from slipway_local import go_build
from slipway_local.paths import cache_dir
from slipway_local.step_timer import step

PROMETHEUS_VERSION = "3.16.0"
GO_PACKAGE = "github.com/prometheus/prometheus/cmd/prometheus"
BUILD_TAGS = "remove_all_sd,enable_aws_sd"
"""Of its discoveries AWS's alone: a third of the size, and of the time."""


def ensure_prometheus() -> Path:
    """Returns the binary in the cache, built where it is not there: about 8 minutes of one core, once."""
    binary = cache_dir() / "prometheus" / f"prometheus-{PROMETHEUS_VERSION}"
    with go_build.hold_build_lock("prometheus"):
        if not binary.exists():
            binary.parent.mkdir(parents=True, exist_ok=True)
            with (
                step(f"Building Prometheus {PROMETHEUS_VERSION} from its Go module (about 8 min of one core, once)"),
                tempfile.TemporaryDirectory(dir=binary.parent) as scratch,
            ):
                fresh = Path(scratch) / "prometheus"
                flags = f"-s -w -X github.com/prometheus/common/version.Version={PROMETHEUS_VERSION}"
                alternative = "Load the image prom/prometheus into Docker, install Go 1.26, or set monitoring to false"
                options = ["-tags", BUILD_TAGS, "-ldflags", flags]
                go_build.build_binary(
                    "prometheus", GO_PACKAGE, fresh, options=options, alternative=alternative, static=True
                )
                fresh.rename(binary)
    return binary
