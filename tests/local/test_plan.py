"""`slipway plan STACK --offline`: the real engine's preview of each stack file, against the committed graph."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import SlipwayError
from infra.graph.diagram import picture
from infra.graph.drawing import draw
from infra.graph.plan import _readable, as_json, plan, resources, states, summary
from infra.local.paths import ROOT
from tests.local.clone import Clone, copy_to

STACKS = ["dev", "staging", "prod"]


@pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the graphs are the reference app's: it was removed")
@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_graph_is_what_the_stack_makes(stack: str) -> None:
    """When this fails on purpose: .venv/bin/slipway plan STACK --offline, and commit the new docs/graphs/STACK.txt.

    For prod also .venv/bin/slipway diagram prod, and commit the new docs/graphs/prod.svg.
    """
    before = (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_bytes()
    graph = states(stack)
    found = resources(graph)
    assert summary(found) == (ROOT / "docs" / "graphs" / f"{stack}.txt").read_text()
    assert (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_bytes() == before
    if stack == "prod":
        assert draw(picture(graph)) == (ROOT / "docs" / "graphs" / "prod.svg").read_text(encoding="utf-8")
    assert "secretString" not in json.dumps(as_json(stack, found))


def test_a_stack_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SlipwayError, match="no stack file"):
        plan("nowhere")


@pytest.mark.skipif(
    not (ROOT / "tests" / "app").is_dir(), reason="the migrations are the reference app's: it was removed"
)
def test_two_heads_of_migrations_are_refused_with_both_names_before_anything_is_planned(tmp_path: Path) -> None:
    copy_to(tmp_path)
    for name in ("0002", "0003"):
        path = tmp_path / "app" / "migrations" / "versions" / f"{name}.py"
        path.write_text(f'revision = "{name}"\ndown_revision = "0001"\n')
    told = Clone(tmp_path, 4566).slipway("plan", "dev", "--offline", code=1)
    assert "2 heads, 0002 (0002.py) and 0003 (0003.py)" in told
    assert "Traceback" not in told


def test_a_value_that_only_the_stacks_own_key_opens_is_a_value_to_the_plan() -> None:
    given = {"shop:secrets": {"SENTRY_DSN": {"secure": "v1:abc"}}, "shop:wafCountOnly": ["rate"], "shop:zones": 2}
    told = {"shop:secrets": {"SENTRY_DSN": "planned"}, "shop:wafCountOnly": ["rate"], "shop:zones": 2}
    assert _readable(given) == told
