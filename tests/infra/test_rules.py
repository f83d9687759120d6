"""The alerts: each fires on what it is for and on nothing that is close to it, and says what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.infra.promtool import promtool
from tests.paths import ROOT

FOLDER = ROOT / "docker" / "prometheus" / "rules"
TESTS = ROOT / "tests" / "infra" / "rules" / "app_test.yml"
RULES = [
    rule
    for file in sorted(FOLDER.glob("*.yml"))
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
THEIR_OWN = {
    "up",
    "prometheus_sd_refresh_failures_total",
    "prometheus_notifications_errors_total",
    "alertmanager_notifications_failed_total",
}
"""Metrics that Prometheus makes, and those of the two themselves."""
WORDS = {
    "sum", "max", "by", "rate", "increase", "and", "or", "unless", "group", "absent", "max_over_time", "avg_over_time",
    "on",
}  # fmt: skip


def test_the_rules_do_what_their_tests_say() -> None:
    promtool("check", "rules", *sorted(FOLDER.glob("*.yml")))
    assert "SUCCESS" in promtool("test", "rules", TESTS)


def seen(fires: bool) -> set[str]:
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    return {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires}


@pytest.mark.parametrize("fires", [True, False])
def test_every_alert_is_seen_firing_and_silent(fires: bool) -> None:
    assert set(ALERTS) - seen(fires) == (set() if fires else SHOWN_WITH_OTHERS)


SHOWN_WITH_OTHERS = {"TooManyRequestsInFlight", "DatabasePoolIsFull"}
"""Their tests have a task that is well beside the one that is not."""


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_is_wrong_and_has_its_page(name: str) -> None:
    rule: dict[str, Any] = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{name.lower()}"
    page = (ROOT / "docs" / "runbooks.md").read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert "**Look at**" in page
    assert "**Do**" in page


def test_no_page_is_left_without_its_alert() -> None:
    pages = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert pages == list(ALERTS)


def test_the_rules_ask_for_metrics_that_the_reference_app_has() -> None:
    source = ROOT / "app" / "core" / "metrics.py"
    if not source.exists():
        pytest.skip("the reference app was removed")
    has = set(re.findall(r'"([a-z_]+)",', source.read_text()))
    for rule in RULES:
        bare = re.sub(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"|by \([^)]*\)|stack:\S+', " ", rule["expr"])
        bare = re.sub(r"\b(?:pg|redis|prometheus_remote_storage)_\w+", " ", bare)  # of exporters and Prometheus itself
        asked = {re.sub(r"_(count|bucket)$", "", word) for word in re.findall(r"[a-z_]{2,}", bare)} - WORDS
        assert asked <= has | THEIR_OWN, rule
