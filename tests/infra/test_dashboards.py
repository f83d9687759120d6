"""The dashboards: what is committed is what their code makes, and each panel can be read without its author."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway_local.plotly_dashboards import UNITS, expand_variables
from tests.committed import assert_committed
from tests.infra.promtool import promtool
from tests.paths import ROOT

BOARDS = {
    path.name: json.loads(path.read_text())
    for path in sorted((ROOT / "docker" / "grafana" / "dashboards").glob("*.json"))
}
PANELS = [(f"{board['title']}: {panel['title']}", panel) for board in BOARDS.values() for panel in board["panels"]]
each_panel = pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=[title for title, _ in PANELS])
GAUGES = {"pg_stat_activity_count", "pg_locks_count"}
"""What the Postgres exporter calls as if they were counters."""
OF_TITLES = {"short", *UNITS}


def queries(panel: Any) -> Iterator[str]:
    yield from (target["expr"] for target in panel["targets"] if "expr" in target)


def test_what_is_committed_is_what_the_code_makes() -> None:
    """The image takes the JSON, so that no build needs the code; `make dashboards` writes it."""
    made: dict[str, str] = runpy.run_path(str(ROOT / "docker" / "grafana" / "boards"))["generated"]()
    assert set(made) == set(BOARDS)
    for name, text in made.items():
        assert_committed(ROOT / "docker" / "grafana" / "dashboards" / name, text)


def test_there_is_one_for_each_story() -> None:
    assert {board["uid"] for board in BOARDS.values()} == {f"slipway-{Path(name).stem}" for name in BOARDS}
    assert len(BOARDS) == 5
    titles = [title for title, _ in PANELS]
    assert len(set(titles)) == len(titles) > 20


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_chooses_its_data_source_and_its_stack(name: str) -> None:
    board = BOARDS[name]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    if variables["datasource"]["query"] == "prometheus":
        assert variables["stack"]["datasource"]["uid"] == "${datasource}"
    assert ("process" in variables) == any("$process" in query for panel in board["panels"] for query in queries(panel))
    assert board["refresh"]
    assert board["editable"] is False


@each_panel
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: Any) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"] in OF_TITLES
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    if panel["type"] == "timeseries":
        assert all(target.get("legendFormat") or target["label"] for target in panel["targets"])


@each_panel
def test_a_query_asks_for_rates_of_counters_over_grafanas_own_interval(panel: Any) -> None:
    for query in queries(panel):
        for counter in re.finditer(r"\b\w+_(?:total|count|bucket|sum)\b(?:\{[^}]*\})?(\[[^\]]+\])?", query):
            if counter[0].partition("{")[0] in GAUGES:
                continue
            before = query[: counter.start()]
            assert counter[1] in ("[$__rate_interval]", "[1h]"), counter[0]
            assert before.endswith("increase(" if counter[1] == "[1h]" else "rate("), query


def test_every_query_is_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expand_variables(query, "shop-dev")}
        for number, query in enumerate(query for _, panel in PANELS for query in queries(panel))
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", "--lint=none", file)
