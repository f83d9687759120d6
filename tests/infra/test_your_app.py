"""Another app than the reference one: how little it takes to describe, and that the kit's own tests stay green."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from pydantic import BaseModel

from slipway.config.app_spec import app, process
from slipway.config.app_spec.app import AppSpec
from slipway.config.app_spec.health import HealthSpec
from slipway.config.app_spec.loader import parse_app
from slipway.config.settings import Settings
from tests.paths import ROOT, copy_project

GUIDE = (ROOT / "docs" / "your-app.md").read_text(encoding="utf-8")
BARE, SYNC_ORM = map(dedent, re.findall(r"^ *```yaml\n(.*?)^ *```$", GUIDE, re.MULTILINE | re.DOTALL))
READ_BY_ITSELF = (
    "test_app_file or test_build_context or test_contract or test_layout or test_plan or test_schemas or test_settings "
    "or test_snapshot or test_stack_file"
)
"""What read the team's files once or reads others of the repository, and samples of what runs the program."""
TEAM_SETTINGS = {
    "databaseClass": "db.r7g.large",
    "domain": "api.acme.test",
    "grafana": "false",
    "logRetentionDays": "90",
    "managedPrometheus": "false",
    "monitoring": "false",
    "monthlyBudgetUsd": "77",
    "previews": "false",
    "vpcCidr": "10.77.0.0/16",
    "zones": "2",
}


@pytest.mark.parametrize(("text", "most"), [(BARE, 6), (SYNC_ORM, 15)])
def test_an_app_is_described_in_a_few_lines(text: str, most: int) -> None:
    assert len(text.splitlines()) <= most


@pytest.mark.parametrize(("text", "folder"), [(BARE, "bare"), (SYNC_ORM, "sync_orm")])
def test_what_the_guide_says_fits_every_stack_file(text: str, folder: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "apps" / folder, tmp_path / "backend")
    for stack in ("local", "dev", "staging", "prod"):
        found = parse_app(yaml.safe_load(text), Settings.from_files(stack), tmp_path)
        assert list(found.processes) == ["web"]


def named(heading: str) -> set[str]:
    """What the first column of a table of the guide names; `.port` goes on from the name before it."""
    table = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found: set[str] = set()
    for row in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", row)
        found |= {names[0].partition(".")[0] + name if name.startswith(".") else name for name in names}
    return found


def test_the_guide_names_every_value_of_the_kit() -> None:
    assert named("Every value of the kit") == set(app.INJECTABLE_VALUES)


def test_the_guide_names_every_key() -> None:
    def keys(part: type[BaseModel]) -> set[str]:
        return {field.alias or name for name, field in part.model_fields.items()}

    expected = (
        keys(AppSpec) - {"health", "processes"} | {f"health.{key}" for key in keys(HealthSpec)} | {"processes.NAME"}
    )
    found = named("Every key of stacks/app.yaml")
    assert {key for key in found if not key.startswith(".")} == expected
    assert {key.removeprefix(".") for key in found if key.startswith(".")} == keys(process.ProcessSpec)


def edit_stack_files(stacks: Path) -> None:
    """What a team does to its stack files: another region, domain and sizes, no monitoring, a stack of another name."""
    for name in ("dev", "prod", "staging"):
        file = stacks / f"Pulumi.{name}.yaml"
        edited = re.sub(r"aws:region: .*", "aws:region: eu-north-1", file.read_text())
        for pattern, text in TEAM_SETTINGS.items():
            edited = re.sub(rf"^  {pattern}: .*", f"  {pattern}: {text}", edited, flags=re.MULTILINE)
        file.write_text(edited)
    (stacks / "Pulumi.staging.yaml").rename(stacks / "Pulumi.rehearsal.yaml")
    (stacks / "Pulumi.local.yaml").unlink()


def test_without_the_reference_app_and_with_another_the_kits_tests_are_green(tmp_path: Path) -> None:
    copy = tmp_path / "shop"
    copy_project(copy)
    for folder in ("app", "tests/app"):
        shutil.rmtree(copy / folder, ignore_errors=True)
    shutil.copytree(copy / "tests" / "apps" / "bare", copy / "backend", dirs_exist_ok=True)
    (copy / "stacks" / "app.yaml").write_text(BARE)
    edit_stack_files(copy / "stacks")
    for name in ("Pulumi.yaml", "pyproject.toml"):
        path = copy / name
        path.write_text(re.sub(r'^name(: |\s*=\s*")slipway', r"name\1shop", path.read_text(), flags=re.MULTILINE))
    python = Path(sys.executable)
    run_there = partial(subprocess.run, cwd=copy, capture_output=True, text=True)
    style = run_there([python.with_name("ruff"), "check", "infra", "tests", "docker", "benchmarks"])
    assert style.returncode == 0, style.stdout
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/infra", "-k", READ_BY_ITSELF]
    done = run_there(command, env={"PYTHONPATH": str(copy), "PATH": "/bin"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the reference app was removed" in done.stdout
