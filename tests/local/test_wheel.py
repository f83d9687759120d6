"""The package as a team installs it: from the wheel, outside this repository, without the extra `local`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.local.team_project import UV, build_wheel
from tests.paths import FIXTURES, ROOT

EXTRA = ("cryptography", "ministack", "plotly", "psutil", "websockets")
STACKS = ("dev", "prod")


class Project:
    """A team's project: the kit's wheel in a virtual environment, and no file of this repository."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "tests" / "apps" / "bare", folder)
        for name in ("infra", "stacks"):
            (folder / name).mkdir()
        shutil.copy(FIXTURES / "infra" / "__main__.py", folder / "infra")
        for stack in STACKS:
            shutil.copy(FIXTURES / "stacks" / f"Pulumi.{stack}.yaml", folder / "stacks")
        shutil.copy(FIXTURES / "Pulumi.yaml", folder)
        (folder / "stacks" / "app.yaml").write_text("source: .\nmodule: service.api:application\n")
        environment = folder / "infra" / ".venv"
        _run([str(UV), "venv", "--quiet", "--python", sys.executable, str(environment)], folder)
        self.python = environment / "bin" / "python"
        _run([str(UV), "pip", "install", "--quiet", "--python", str(self.python), str(wheel)], folder)

    def slipway(self, *arguments: str, code: int = 0) -> str:
        """What the command prints, of both streams."""
        done = subprocess.run(
            [self.python.with_name("slipway"), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Project:
    return Project(tmp_path_factory.mktemp("team") / "project", wheel)


def test_the_wheel_has_every_file_of_its_folders_and_no_other(wheel: Path) -> None:
    """Those that git would commit: only a team would miss a Dockerfile, a rule or a template that is left out."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *config["only-include"]]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    expected = {
        target + name.removeprefix(source)
        for name in names
        for source, target in config["sources"].items()
        if name.startswith(f"{source}/") and (ROOT / name).is_file()
    }
    assert len(expected) > 500
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == expected


def test_the_packages_of_the_local_aws_are_not_installed(project: Project) -> None:
    names = ", ".join(f"{name!r}" for name in EXTRA)
    program = f"from importlib.util import find_spec; print([n for n in ({names},) if find_spec(n)])"
    done = subprocess.run([project.python, "-c", program], cwd=project.folder, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_module_of_the_core_is_imported_without_them(project: Project) -> None:
    program = """
import importlib, pkgutil, slipway
names = [module.name for module in pkgutil.walk_packages(slipway.__path__, "slipway.") if ".data" not in module.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    done = subprocess.run([project.python, "-c", program], cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


@pytest.mark.parametrize("command", ["up", "down", "status", "doctor", "clean", "env"])
def test_a_command_of_the_local_aws_says_in_one_line_how_it_is_installed(project: Project, command: str) -> None:
    printed = project.slipway(command, code=1)
    assert f"error: `slipway {command}` needs the AWS on this machine, which is not installed." in printed
    assert "slipway-kit[local]" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("stack", STACKS)
def test_plan_cost_and_diagram_need_neither_engine_nor_account(project: Project, stack: str) -> None:
    planned = json.loads(project.slipway("plan", stack, "--json"))
    assert planned["create"] == len(planned["resources"])
    assert planned["create"] > 70
    assert json.loads(project.slipway("cost", stack, "--json"))["total"] > 30
    project.slipway("diagram", stack, "--out", "picture.svg")
    assert (project.folder / "picture.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    "command",
    [
        ["preview", "list"],
        ["preview", "create", "pr-1", "--base", "dev"],
        ["promote", "dev", "prod"],
        ["drift", "dev"],
        ["logs", "dev"],
        ["deployments", "dev"],
        ["rollback", "dev"],
    ],
    ids=" ".join,
)
def test_a_command_on_a_deployed_stack_gets_as_far_as_pulumi(project: Project, command: list[str]) -> None:
    """There is no engine on this PATH: what it says is the first thing that these commands need."""
    path, os.environ["PATH"] = os.environ["PATH"], "/usr/bin:/bin"
    try:
        printed = project.slipway(*command, code=1)
    finally:
        os.environ["PATH"] = path
    assert "`pulumi` is not installed." in printed
    assert "Traceback" not in printed


def test_what_the_images_and_rules_are_made_from_is_in_the_package(project: Project) -> None:
    """The plan hashes the context of each image: a file that the wheel lacks would be an error there."""
    program = (
        "from slipway.config.project import packaged_path as p;"
        "print(*(p(n).exists() and '/data/' in str(p(n)) for n in "
        "('docker/app/Dockerfile', 'docker/prometheus/rules/app.yml', 'docker/grafana/dashboards/service.json',"
        " 'docs/runbooks.md', 'tools/pulumi/go.sum', 'reference_app/app/main.py')))"
    )
    done = subprocess.run([project.python, "-c", program], cwd=project.folder, capture_output=True, text=True)
    assert done.stdout.split() == ["True"] * 6, done.stderr
