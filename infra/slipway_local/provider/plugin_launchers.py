"""Placing the provider where the engine looks for plugins, in the versions that the SDKs ask for."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from slipway_local.toolchain import write_launcher

PLUGINS = {"aws": "pulumi-aws", "docker-build": "pulumi-docker-build"}
"""Plugin -> the SDK package whose version it answers to. One program serves both: their types are in one table."""


def install_plugins(home: Path) -> None:
    """Writes the launchers below `home`, which is the local stack's own PULUMI_HOME.

    There they are installed plugins like any other; on PATH the engine would warn of them in each run.
    """
    for plugin, package in PLUGINS.items():
        folder = home / "plugins" / f"resource-{plugin}-v{version(package)}"
        folder.mkdir(parents=True, exist_ok=True)
        write_launcher(folder / f"pulumi-resource-{plugin}", "slipway_local.provider")
