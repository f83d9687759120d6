"""`slipway check`: what guards a team's own stack files, which the kit's tests do not read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from slipway.cli.main import app
from tests.paths import FIXTURES, ROOT


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stack files of a project with the stacks dev and preview."""
    folder = tmp_path / "shop"
    shutil.copytree(FIXTURES / "infra", folder / "infra")
    shutil.copytree(ROOT / "tests" / "apps" / "bare", folder / "backend")
    (folder / "stacks").mkdir()
    shutil.copy(FIXTURES / "Pulumi.yaml", folder)
    for stack in ("dev", "preview"):
        shutil.copy(FIXTURES / "stacks" / f"Pulumi.{stack}.yaml", folder / "stacks")
    (folder / "stacks" / "app.yaml").write_text("source: backend\nmodule: service.api:application\n")
    monkeypatch.chdir(folder)
    return folder / "stacks"


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], env={"COLUMNS": "300"})


def edit(stacks: Path, stack: str, old: str, new: str) -> None:
    file = stacks / f"Pulumi.{stack}.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_what_a_team_may_change_is_right_and_exceptions_are_told_unless_brief(stacks: Path) -> None:
    edit(stacks, "dev", "us-east-1", "eu-north-1")
    edit(stacks, "dev", "monthlyBudgetUsd: 130", "monthlyBudgetUsd: 77")
    told, brief = check(), check("--brief")
    assert (told.exit_code, brief.exit_code) == (0, 0)
    assert brief.output.splitlines()[1] == "ok     preview: settings of previews"
    assert len(brief.output.splitlines()) == 2
    assert "ECS.12 until" in told.output


def test_a_wrong_value_of_any_file_is_named_with_its_file(stacks: Path) -> None:
    edit(stacks, "dev", "logRetentionDays: 14", "logRetentionDays: 2")
    edit(stacks, "preview", "deployProfile: quick", "deployProfile: quickest")
    result = check("--json")
    assert result.exit_code == 1
    errors = {stack["stack"]: stack["error"] for stack in json.loads(result.stdout)["stacks"]}
    assert all(word in errors["dev"] for word in ("stacks/Pulumi.dev.yaml", "logRetentionDays is 2"))
    assert all(word in errors["preview"] for word in ("stacks/Pulumi.preview.yaml", "deployProfile is 'quickest'"))


def test_a_control_that_is_not_met_is_named_with_the_resource(stacks: Path) -> None:
    edit(stacks, "dev", "tier: dev", "tier: staging")
    result = check("dev")
    assert result.exit_code == 1
    assert "wrong  dev" in result.output
    assert "ECS.12 Container Insights counts tasks: slipway-dev-cluster has" in result.output
