"""What a machine lacks, said before anything is installed: `slipway doctor`, and the setup's own check of Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway_local import docker_engine, doctor
from slipway_local.emulator import process as emulator
from tests.paths import ROOT


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has nothing, and on which another program has the port."""
    for name in ("SLIPWAY_RUN_DIR", "SLIPWAY_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("SLIPWAY_PORT", raising=False)
    monkeypatch.setattr(docker_engine, "is_docker_running", lambda: False)
    monkeypatch.setattr(docker_engine, "find_buildkit_client", lambda: None)
    monkeypatch.setattr(doctor, "find_pulumi_on_path", lambda: (None, "3.200.0"))
    monkeypatch.setattr(doctor, "find_cached_pulumi", lambda: None)
    monkeypatch.setattr(emulator, "describe_port_holder", lambda _: ", by pid 7 (nginx)")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2 * doctor.GB))
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: SimpleNamespace(available=doctor.GB))


def test_a_bare_machine_is_told_each_thing_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    checks = {check.name: (check.actual, check.fix) for check in doctor.run_checks() if not check.is_ok}
    assert checks == {
        "Docker engine": ("none answers", "sudo systemctl start docker"),
        "docker with BuildKit": ("none", "apt-get install docker-buildx"),
        f"pulumi {doctor.PULUMI_VERSION} (3.200.0 on PATH is older)": ("none", "slipway up (downloads or builds it)"),
        "port 4566": ("by pid 7 (nginx)", "SLIPWAY_PORT=4600 slipway up"),
        "5 GB of disk": ("2 GB free", "docker system prune"),
        "3 GB of memory": ("1 GB available", "ps aux --sort=-rss | head"),
    }


def test_root_is_told_that_the_first_up_installs_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert doctor.run_checks()[0].fix == "slipway up (installs and starts Debian's docker.io)"


@pytest.mark.skipif(not (ROOT / "tools" / "setup").is_file(), reason="a project of `slipway init` has no setup of it")
def test_the_setup_names_the_pythons_that_it_takes(tmp_path: Path) -> None:
    """PATH has an older Python alone."""
    (tmp_path / "dirname").symlink_to(str(shutil.which("dirname")))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    setup = [str(shutil.which("sh")), str(ROOT / "tools" / "setup")]
    done = subprocess.run(setup, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Slipway needs Python 3.11 to 3.14, and PATH has none of them." in done.stderr
    assert "PYTHON=/path/to/python3.12 make setup" in done.stderr
