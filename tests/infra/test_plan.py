"""`slipway plan`: a run of the program without engine and account, against the committed graph."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.runtime.rpc import UNKNOWN

from slipway.config.errors import SlipwayError
from slipway.graph import program_run
from slipway.graph.diagram import build_diagram
from slipway.graph.plan import (
    format_resource_tree,
    plan_as_json,
    plan_resources,
    plan_states,
    to_planned_resources,
)
from slipway.graph.program_run import _plan_secrets, run_program
from slipway.graph.svg_drawing import draw_svg
from tests.committed import assert_committed
from tests.local.clone import Clone, copy_to
from tests.paths import FIXTURES, ROOT

GRAPHS = ROOT / "docs" / "graphs"
STACKS = ["dev", "staging", "prod"]
DRAWN = ["local", "prod"]


@pytest.mark.skipif(not GRAPHS.is_dir(), reason="the documentation's graphs were removed")
@pytest.mark.parametrize("stack", STACKS)
def test_the_graphs_of_the_documentation_are_what_the_tests_stacks_make(stack: str) -> None:
    before = (FIXTURES / "stacks" / f"Pulumi.{stack}.yaml").read_bytes()
    graph = plan_states(stack)
    found = to_planned_resources(graph)
    assert_committed(GRAPHS / f"{stack}.txt", format_resource_tree(found))
    assert (FIXTURES / "stacks" / f"Pulumi.{stack}.yaml").read_bytes() == before
    assert "secretString" not in json.dumps(plan_as_json(stack, found))


@pytest.mark.skipif(not GRAPHS.is_dir(), reason="the documentation's graphs were removed")
@pytest.mark.parametrize("stack", DRAWN)
def test_the_pictures_of_the_documentation_are_drawn_from_what_the_tests_stacks_make(stack: str) -> None:
    drawn = draw_svg(build_diagram(plan_states(stack)))
    assert_committed(GRAPHS / f"{stack}.svg", drawn)
    assert "…</text>" not in drawn, "a title is longer than its box"


def test_a_stack_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SlipwayError, match="no stack file"):
        plan_resources("nowhere")


@pytest.mark.skipif(
    not (ROOT / "tests" / "app").is_dir(), reason="the migrations are the reference app's: it was removed"
)
def test_two_heads_of_migrations_are_refused_with_both_names_before_anything_is_planned(tmp_path: Path) -> None:
    copy_to(tmp_path)
    for name in ("0002", "0003"):
        path = tmp_path / "app" / "migrations" / "versions" / f"{name}.py"
        path.write_text(f'revision = "{name}"\ndown_revision = "0001"\n')
    told = Clone(tmp_path, 4566).slipway("plan", "dev", code=1)
    assert "2 heads, 0002 (0002.py) and 0003 (0003.py)" in told
    assert "Traceback" not in told


def test_a_value_that_only_the_stacks_own_key_opens_is_a_value_to_the_plan() -> None:
    config = {"SENTRY_DSN": {"secure": "v1:abc"}, "wafCountOnly": ["rate"], "zones": 2}
    assert _plan_secrets(config) == {"SENTRY_DSN": "planned", "wafCountOnly": ["rate"], "zones": 2}


def test_a_plan_shows_no_secret_and_keeps_numbers_whole() -> None:
    states = plan_states("staging")
    versions = [s for s in states if s["type"] == "aws:secretsmanager/secretVersion:SecretVersion"]
    assert versions
    assert {state["inputs"]["secretString"] for state in versions} == {"[secret]"}
    listeners = [s["inputs"]["port"] for s in states if s["type"] == "aws:lb/listener:Listener"]
    assert listeners
    assert all(isinstance(port, int) for port in listeners)


def test_a_plan_knows_what_a_resource_was_given_and_nothing_that_aws_would_answer() -> None:
    states = plan_states("dev")
    policies = [s["inputs"] for s in states if s["type"] == "aws:appautoscaling/policy:Policy"]
    assert {(p["scalableDimension"], p["resourceId"]) for p in policies} == {("ecs:service:DesiredCount", UNKNOWN)}
    assert {s["inputs"]["vpcId"] for s in states if s["type"] == "aws:ec2/subnet:Subnet"} == {UNKNOWN}


def test_a_stack_on_an_existing_network_is_planned_without_asking_for_its_subnets() -> None:
    subnets = {f"{tier}Subnets": [f"subnet-{tier}1", f"subnet-{tier}2"] for tier in ("public", "private", "isolated")}
    states = run_program("dev", overrides={"publicTasks": False, "existingVpc": {"id": "vpc-0a1b2c", **subnets}})
    types = {state["type"] for state in states}
    assert "aws:ecs/service:Service" in types
    assert "aws:ec2/vpc:Vpc" not in types


def test_a_question_to_aws_that_a_plan_cannot_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    call: Any = SimpleNamespace(token="aws:ec2/getAmi:getAmi", args={})  # noqa: S106 - a name of Pulumi's
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    with pytest.raises(SlipwayError) as refusal:
        program_run._Answers("eu-central-1").call(call)
    assert refusal.value.message == (
        "The program calls aws:ec2/getAmi:getAmi, which needs an AWS account and is not available in a plan."
    )
    assert refusal.value.fix == "Plan it with Pulumi: pulumi preview --stack dev"


def test_a_program_that_refuses_its_configuration_gives_the_plan_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise pulumi.RunError("zones is 1: at least 2")

    monkeypatch.setattr(program_run, "_program", refuse)
    with pytest.raises(SlipwayError, match="zones is 1: at least 2"):
        run_program("dev")
