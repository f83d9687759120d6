"""`slipway eject`: the copy is what the program and the command import, and to remove it is the way back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import slipway
from slipway.cli.init.eject import eject
from slipway.config.errors import SlipwayError
from tests.infra.init.apps import ROOT

PACKAGE = Path(slipway.__file__).parent


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the package as a wheel installs it."""
    folder = tmp_path / "site"
    shutil.copytree(PACKAGE, folder / "slipway", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docker", folder / "slipway" / "data" / "docker")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a program, and nothing else."""
    folder = tmp_path / "shop"
    (folder / "infra").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: shop\n")
    (folder / "infra" / "__main__.py").write_text("import slipway\n\nprint(slipway.__file__)\n")
    return folder


def run(project: Path, installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the installed package, in the project."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


def test_the_program_and_the_command_use_the_copy_until_it_is_removed(project: Path, installed: Path) -> None:
    ejected = run(project, installed, "-m", "slipway.cli.main", "eject")
    assert ejected.returncode == 0, ejected.stderr
    assert "To undo it: rm -r infra/slipway" in ejected.stdout
    copy = project / "infra" / "slipway"
    assert (copy / "data" / "docker" / "app" / "Dockerfile").is_file()

    main = copy / "cli" / "main.py"
    main.write_text(main.read_text().replace("Deploy a FastAPI service to AWS", "Deploy our own way"))
    command = ("-m", "slipway.cli.main", "--help")
    assert "Deploy our own way" in run(project, installed, *command).stdout
    assert run(project, installed, "infra").stdout.strip() == str(copy / "__init__.py")
    again = run(project, installed, "-m", "slipway.cli.main", "eject").stderr
    assert "infra/slipway exists: it is a copy of before." in again
    assert "To copy this version: rm -r infra/slipway" in again

    shutil.rmtree(copy)
    assert "Deploy a FastAPI service to AWS" in run(project, installed, *command).stdout
    assert run(project, installed, "infra").stdout.strip() == str(installed / "slipway" / "__init__.py")


def test_sources_are_not_ejected_for_they_lack_the_files_of_the_images(project: Path) -> None:
    refused = run(project, PACKAGE.parent, "-m", "slipway.cli.main", "eject")
    assert refused.returncode == 1
    assert "Eject from an installed kit: uv run --project infra slipway eject" in refused.stderr
    assert not (project / "infra" / "slipway").exists()


def test_sources_without_the_files_of_images_are_not_copied(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    """A checkout of the kit has them in docker/, and not in the package."""
    monkeypatch.chdir(project)
    with pytest.raises(SlipwayError, match="runs from its sources, whose package lacks the files") as refusal:
        eject()
    assert refusal.value.fix == "Eject from an installed kit: uv run --project infra slipway eject"
    assert not (project / "infra" / "slipway").exists()
