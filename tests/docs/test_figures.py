"""Numbers and lists of the documentation against the code that they are about."""

from __future__ import annotations

import ast
import json
import re

import pytest
from typer.testing import CliRunner

from slipway.cli.main import app
from slipway.config import constants
from tests.docs.pages import code_spans, read
from tests.paths import ROOT

pytestmark = pytest.mark.skipif(
    not (ROOT / "tests" / "app").is_dir(), reason="the reference app and its pages were removed"
)


def cost_row(stack: str) -> tuple[int, int]:
    """The AWS resources and the USD a month that README says of a stack."""
    row = re.search(rf"^\| `{stack}` \|.*\| (\d+) \| (\d+) \|$", read("README.md"), re.MULTILINE)
    assert row
    return int(row[1]), int(row[2])


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_the_readme_says_what_a_stack_has_and_costs(stack: str) -> None:
    tree = (ROOT / "docs" / "graphs" / f"{stack}.txt").read_text(encoding="utf-8").splitlines()
    resources = [line for line in tree if not line.lstrip().startswith("slipway:")]
    printed = CliRunner().invoke(app, ["cost", stack, "--json"])
    assert printed.exit_code == 0, printed.output
    assert cost_row(stack) == (len(resources), round(json.loads(printed.stdout)["total"]))


def test_the_time_outs_of_the_architecture_are_those_of_the_code() -> None:
    profile = constants.DEPLOY_PROFILES["fast"]
    server = (ROOT / "docker" / "app" / "gunicorn.conf.py").read_text(encoding="utf-8")
    graceful = re.search(r'"GRACEFUL_TIMEOUT", "(\d+)"', server)
    assert graceful
    table = read("docs/explanation/architecture.md").partition("| time-out | seconds |")[2].partition("\n\n")[0]
    seconds = [int(number) for number in re.findall(r"\| (\d+) \|", table)]
    assert seconds == [
        profile.deregistration_delay,
        int(graceful[1]),
        profile.stop_timeout,
        constants.IDLE_TIMEOUT_SECONDS,
        constants.KEEPALIVE_SECONDS,
    ]


def test_the_runbook_of_a_full_pool_says_the_apps_time_out() -> None:
    settings = (ROOT / "app" / "core" / "settings" / "groups.py").read_text(encoding="utf-8")
    default = re.search(r"database_pool_timeout: float = (\d+)", settings)
    assert default
    runbook = read("docs/runbooks.md").partition("## DatabasePoolIsFull")[2].partition("\n## ")[0]
    assert f"fail after {default[1]} seconds" in " ".join(runbook.split())


def exported_names() -> set[str]:
    """The literal names of all `pulumi.export` calls of the program."""
    names = set()
    for path in (ROOT / "infra" / "slipway" / "program").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pulumi.export":
                names |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return names


def test_every_output_is_in_the_reference_and_no_other() -> None:
    text = read("docs/reference/outputs.md")
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    listed = {name for row in rows for name in code_spans(row.split(" | ")[0])}
    roles = {"pipelineRole", "promoteRole", "previewRole", "driftRole"}
    source = "".join(path.read_text() for path in (ROOT / "infra" / "slipway" / "program").glob("*.py"))
    assert all(f'"{role}"' in source for role in roles)
    from slipway.components.outputs import OUTPUT_NAME

    assert listed == exported_names() | roles | {OUTPUT_NAME}


@pytest.mark.parametrize("profile", list(constants.DEPLOY_PROFILES))
def test_every_deploy_profile_is_on_the_page_of_releases(profile: str) -> None:
    assert f"| `{profile}` |" in read("docs/how-to/releases.md")
