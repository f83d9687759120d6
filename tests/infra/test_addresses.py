"""`slipway dashboards STACK`: what the program leaves in its outputs is what a person needs to get in."""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from typer.testing import CliRunner, Result

from slipway.cli import main as cli_module
from slipway.cli.main import app as cli
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.release import deployed_stack as stacks
from tests.infra.program import programmed

DOMAIN = {"domain": "api.acme.test", "alarm_email": "ops@acme.test"}
WHERE = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:slipway-prod-grafana-1a2b3c"


def exported(stack: str, **changes: Any) -> dict[str, Any]:
    """The outputs of the program of a stack file."""
    found: dict[str, Any] = {}

    def keep(name: str, value: Any) -> None:
        pulumi.Output.from_input(value).apply(lambda known: found.update({name: known}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi, "export", keep)
        programmed(stack, Settings.from_files(stack).model_copy(update=changes))
    return found


def told(monkeypatch: pytest.MonkeyPatch, stack: str, outputs: dict[str, Any], *options: str) -> Result:
    monkeypatch.setattr(stacks, "run_pulumi_in_project", lambda *_: json.dumps(outputs))
    return CliRunner().invoke(cli, ["dashboards", stack, *options])


def test_production_says_where_its_grafana_is_and_which_secret_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = exported("prod", **DOMAIN)
    assert outputs["monitoring"].pop("logGroups") == {
        "prometheus": "slipway-prod-prometheus-logs",
        "grafana": "slipway-prod-grafana-logs",
    }
    assert outputs["monitoring"] == {
        "grafana": "https://api.acme.test/grafana/",
        "password": "arn:aws:mock:::slipway-prod-grafana",
        "prometheus": "http://prometheus.slipway-prod.internal:9090",
        "workspace": "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/",
    }
    outputs["monitoring"]["password"] = WHERE
    lines = told(monkeypatch, "prod", outputs).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Grafana", "user", "password", "aws", "Prometheus", "stored"]
    assert lines[0].endswith("https://api.acme.test/grafana/")
    assert shlex.split(lines[3]) == [
        *("aws", "secretsmanager", "get-secret-value", "--region", "eu-central-1", "--secret-id", WHERE),
        *("--query", "SecretString", "--output", "text"),
    ]
    assert outputs["monitoring"]["prometheus"] in lines[4]
    assert outputs["monitoring"]["workspace"] in lines[5]
    as_json = json.loads(told(monkeypatch, "prod", outputs, "--json").stdout)
    assert as_json == {"stack": "prod", **outputs["monitoring"], "readPassword": lines[3].strip()}


def test_a_stack_without_grafana_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = exported("staging")
    assert set(outputs["monitoring"]) == {"logGroups"}
    answer = told(monkeypatch, "staging", outputs)
    assert "pulumi config set grafana true -s staging" in answer.stdout
    assert "domain" in answer.stdout
    assert "secret" not in answer.stdout


def test_a_stack_that_nothing_watches_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = exported("dev")
    assert "monitoring" not in outputs
    error = told(monkeypatch, "dev", outputs).exception
    assert isinstance(error, SlipwayError)
    assert "The stack dev has no monitoring" in error.message
    assert "monitoring true -s dev" in error.fix


def test_a_preview_names_the_environment_that_watches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    error = told(monkeypatch, "pr-7", {"services": {}, "preview": {"base": "dev", "cluster": "c"}}).exception
    assert isinstance(error, SlipwayError)
    assert "slipway dashboards dev" in error.fix


def test_what_is_of_the_page_alone_is_refused_for_another_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in (("--out", "page.html"), ("--minutes", "5")):
        error = told(monkeypatch, "prod", {"services": {}, "monitoring": {}}, *options).exception
        assert isinstance(error, SlipwayError)
        assert error.message == "--out and --minutes apply to the stack `local` only."


def test_an_error_keeps_an_arn_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`:secret:` is in it, for which rich has a sign."""

    def refused(**_: bool) -> None:
        raise SlipwayError(f"not authorized: {WHERE}", f"look at {WHERE}")

    monkeypatch.setattr(cli_module, "build_command", lambda: SimpleNamespace(main=refused))
    with pytest.raises(SystemExit):
        cli_module.main()
    assert capsys.readouterr().err.count(WHERE) == 2
