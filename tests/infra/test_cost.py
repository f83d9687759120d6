"""The bill of an idle stack, and what use adds to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra import cli
from infra.app import App
from infra.components.endpoints import INTERFACE_ENDPOINTS
from infra.errors import SlipwayError
from infra.graph import cost, plan
from infra.settings import Settings
from infra.sizes import DATABASE_MEMORY_GIB
from tests.infra.recorder import Registered, of
from tests.infra.test_program import plain, program, programmed

STACKS = ["dev", "staging", "prod"]


def settings(stack: str, **changes: Any) -> Settings:
    real = {"domain": "api.acme.test", "alarm_email": "ops@acme.test"} if stack == "prod" else {}
    return Settings.from_files(stack).model_copy(update=real | changes)


def graph(stack: str, processes: dict[str, Any] | None = None, **changes: Any) -> list[cost.Resource]:
    """The program's resources with some settings changed; `processes` is laid over the stack's."""
    given = settings(stack, **changes)
    if processes:
        sizes = given.model_dump(by_alias=True, exclude_none=True)["processes"]
        merged = {name: sizes.get(name, {}) | processes.get(name, {}) for name in sizes | processes}
        given = Settings.load(given.model_dump(by_alias=True) | {"processes": merged}, "a test's stack")
    found = programmed(stack, given) if changes or processes else program(stack)
    return [cost.Resource(r.type, r.name, {key: plain(value) for key, value in r.inputs.items()}) for r in found]


def bill(stack: str, processes: dict[str, Any] | None = None, **changes: Any) -> dict[str, cost.Line]:
    return {line.what: line for line in cost.lines(graph(stack, processes, **changes))}


def told(stack: str, region: str = "us-east-1", **changes: Any) -> dict[str, Any]:
    return cost.as_json(stack, graph(stack, **changes), region)


def test_whatever_the_program_makes_has_a_price_or_is_known_to_have_none() -> None:
    """A new type of resource is looked up before it can be forgotten on the bill."""
    types = {r.type for stack in STACKS for r in graph(stack) if r.type.startswith(("aws:", "docker-build:"))}
    assert {kind for kind in types if kind not in cost.PRICED and not kind.startswith(cost.FREE)} == set()


def test_a_line_is_what_its_prices_say() -> None:
    found = bill("dev")
    assert found["NAT gateways"].total == pytest.approx(730 * 0.045)
    # A quarter of a vCPU and half a GB for 730 hours.
    assert found["web tasks, 256 CPU units"].total == pytest.approx(730 * (0.25 * 0.04048 + 0.5 * 0.004445))


def test_graviton_tasks_have_their_own_price() -> None:
    found = bill("dev", architecture="ARM64")
    assert found["web tasks, 256 CPU units"].total == pytest.approx(730 * (0.25 * 0.03238 + 0.5 * 0.00356))


def test_workers_on_spot_cost_a_part_of_that() -> None:
    same = bill("dev", {"worker": {"cpu": 256, "memory": 512, "tasks": 1}})
    spot, web = same["worker tasks on Spot, 256 CPU units"].total, same["web tasks, 256 CPU units"].total
    assert spot == pytest.approx(0.3 * web)


def test_a_multi_az_database_has_the_price_of_the_pair_and_its_storage_too() -> None:
    found = bill("prod", {"web": {"maxTasks": 3}}, database_class="db.t4g.small", database_pool_size=2)
    # AWS asks 0.065 an hour for the pair, not twice 0.032.
    assert found["database, db.t4g.small, Multi-AZ"].total == pytest.approx(730 * 0.065)
    assert found["database storage, GB, Multi-AZ"].total == pytest.approx(100 * 0.23)
    alone = bill("prod", tier="staging", database_class="db.t4g.small", database_multi_az=False, database_pool_size=2)
    assert alone["database, db.t4g.small, Single-AZ"].total == pytest.approx(730 * 0.032)
    assert alone["database storage, GB, Single-AZ"].total == pytest.approx(100 * 0.115)


def test_every_zone_has_its_gateway_and_every_gateway_and_zone_an_address_in_production() -> None:
    found = bill("prod")
    assert found["NAT gateways"].how_many == 3
    assert found["public IPv4 addresses"].how_many == 6


def test_a_firewall_costs_its_acl_and_each_of_its_rules_and_nothing_when_there_is_none() -> None:
    found = bill("dev", waf=True)
    assert found["WAF web ACL"].total + found["WAF rules"].total == pytest.approx(5 + 5 * 1)
    assert not [what for what in bill("dev", waf=False) if "WAF" in what]


def test_an_interface_endpoint_is_paid_in_each_zone() -> None:
    found = bill("prod", interface_endpoints=True)["interface endpoints, in each zone"]
    assert found.how_many == 3 * len(INTERFACE_ENDPOINTS)
    assert found.total == pytest.approx(3 * len(INTERFACE_ENDPOINTS) * 730 * 0.01)
    assert not [what for what in bill("prod", interface_endpoints=False) if "endpoints" in what]


def test_container_insights_counts_the_cluster_and_each_service_that_runs() -> None:
    both, one = bill("staging"), bill("staging", {"worker": {"tasks": 0, "maxTasks": 0}})
    assert "Container Insights metrics" not in bill("dev")
    assert both["Container Insights metrics"].how_many == 10 + 2 * (13 + 8)
    assert one["Container Insights metrics"].how_many == 10 + 13 + 8


def read_by_alarm(alarm: Registered) -> int:
    return len([query for query in alarm.inputs.get("metricQueries", []) if "metric" in query]) or 1


def read_by_policy(policy: Registered) -> int:
    tracked = policy.inputs["targetTrackingScalingPolicyConfiguration"]
    own = tracked.get("customizedMetricSpecification", {}).get("metrics", [])
    return len([metric for metric in own if "metricStat" in metric]) or 1


@pytest.mark.parametrize("stack", STACKS)
def test_every_metric_that_an_alarm_of_the_program_reads_is_paid(stack: str) -> None:
    found = program(stack)
    people = sum(read_by_alarm(alarm) for alarm in of(found, "aws:cloudwatch/metricAlarm:MetricAlarm"))
    # Two alarms for each policy, and each reads what the policy does.
    scaling = sum(2 * read_by_policy(policy) for policy in of(found, "aws:appautoscaling/policy:Policy"))
    assert bill(stack)["alarms, for each metric that they read"].how_many == people + scaling


def test_a_service_that_does_not_scale_needs_no_alarms_for_it() -> None:
    def read(web: int = 2, worker: tuple[int, int] = (1, 1)) -> float:
        sizes = {"web": {"tasks": 2, "maxTasks": web}, "worker": {"tasks": worker[0], "maxTasks": worker[1]}}
        return bill("staging", sizes)["alarms, for each metric that they read"].how_many

    assert read(web=3) == read() + 4
    assert read(worker=(1, 2)) == read() + 4
    assert read(worker=(0, 0)) == read() - 1


@pytest.mark.parametrize("stack", STACKS)
def test_the_rules_and_endpoints_that_are_paid_are_those_of_the_program(stack: str) -> None:
    found, paid = program(stack), bill(stack)
    acls = of(found, "aws:wafv2/webAcl:WebAcl")
    rules = paid["WAF rules"].how_many if "WAF rules" in paid else 0
    assert rules == sum(len(acl.inputs["rules"]) for acl in acls)
    endpoints = [e for e in of(found, "aws:ec2/vpcEndpoint:VpcEndpoint") if e.inputs["vpcEndpointType"] == "Interface"]
    line = paid.get("interface endpoints, in each zone")
    assert (line.how_many if line else 0) == sum(len(endpoint.inputs["subnetIds"]) for endpoint in endpoints)


def test_the_hosted_zone_is_the_teams_own_and_no_line() -> None:
    assert bill("dev", domain="api.acme.test", hosted_zone_id="Z1") == bill("dev")


@pytest.mark.parametrize("stack", STACKS)
def test_the_total_is_the_sum_of_the_lines(stack: str) -> None:
    found = told(stack)
    assert found["total"] == pytest.approx(sum(line["total"] for line in found["lines"]), abs=0.05)


def test_dev_is_cheaper_than_staging_and_that_than_production() -> None:
    totals = [told(stack)["total"] for stack in STACKS]
    assert totals == sorted(totals)


def test_every_database_that_a_stack_may_name_has_both_prices() -> None:
    table = cost.prices()["rds_hour"]
    assert set(table) >= set(DATABASE_MEMORY_GIB)
    for size, price in table.items():
        # Rounded by AWS, so not exactly twice.
        assert price["multi_az"] == pytest.approx(2 * price["single_az"], abs=0.0011), size


def test_a_size_without_a_price_is_named() -> None:
    with pytest.raises(SlipwayError, match=r"cache\.x9\.huge"):
        bill("dev", cache_class="cache.x9.huge")


def test_every_price_says_where_it_comes_from() -> None:
    known = re.compile(r"# .*(unchecked|no date|\d{4}-\d{2}|v\d+\.\d+|copy of \d{4})")
    rows = [row for row in cost.PRICES.read_text().splitlines() if re.match(r"[\w. ]+: [{\d]", row)]
    assert [row for row in rows if not known.search(row)] == ["hours: 730"]


def test_use_adds_only_what_the_stack_has() -> None:
    def uses(**changes: Any) -> set[str]:
        return {price.what for price in cost.with_use(graph("dev", **changes))}

    assert {"load balancer capacity", "traffic through NAT gateways", "logs written"} <= uses()
    assert not [what for what in uses(nat_gateways="none", interface_endpoints=True) if "NAT" in what]
    assert uses(interface_endpoints=True) - uses(interface_endpoints=False) == {"traffic through interface endpoints"}
    assert uses(waf=True) - uses(waf=False) == {"requests that the WAF looks at"}


def test_use_has_the_tables_unit_prices() -> None:
    found = {row["what"]: (row["price"], row["unit"]) for row in told("prod")["with_use"]}
    assert found["load balancer capacity"] == (0.008, "unit and hour")
    assert found["traffic through NAT gateways"] == (0.045, "GB")
    assert found["logs written"] == (0.5, "GB")
    assert found["requests that the WAF looks at"] == (0.6, "million")


def test_a_stack_elsewhere_is_told_that_the_prices_are_not_its_own() -> None:
    assert [note for note in cost.notes(told("dev", region="eu-central-1")) if "eu-central-1" in note]
    assert not cost.notes(told("dev", region="us-east-1", monthly_budget_usd=0))
    assert not cost.notes(told("dev", region="", monthly_budget_usd=0))


def test_the_region_is_the_stack_files(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    file = tmp_path / "stacks" / "Pulumi.here.yaml"
    file.write_text("config:\n  aws:region: eu-north-1\n")
    assert cost.region_of("here", tmp_path) == "eu-north-1"
    file.write_text("config: {}\n")
    assert cost.region_of("here", tmp_path) == ""


def test_a_budget_below_the_idle_cost_is_told_and_one_above_is_not() -> None:
    total = told("dev")["total"]
    (note,) = cost.notes(told("dev", monthly_budget_usd=int(total) - 1))
    assert f"{total:.2f}" in note
    assert "monthlyBudgetUsd" in note
    assert not cost.notes(told("dev", monthly_budget_usd=int(total) + 1))
    assert not cost.notes(told("dev", monthly_budget_usd=0))  # none is set


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes its graph from the engine; here from the recorder, and tests/local compares the two."""
    monkeypatch.setattr(plan, "graph", lambda stack: graph(stack))


@pytest.mark.usefixtures("planned")
def test_the_command_prints_the_total_and_below_it_what_use_adds() -> None:
    shown = CliRunner().invoke(cli.app, ["cost", "prod"]).output
    assert shown.index("total") < shown.index("On top with use") < shown.index("0.045 USD a GB")
    assert f"{told('prod')['total']:.2f}" in shown


@pytest.mark.usefixtures("planned")
def test_the_commands_json_is_the_bill() -> None:
    shown = CliRunner().invoke(cli.app, ["cost", "staging", "--json"]).output
    assert json.loads(shown) == told("staging")


def test_an_app_without_stores_pays_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {"source": "app", "module": "app.main:app"}
    monkeypatch.setattr(App, "load", lambda settings: App.of(bare, settings))
    what = set(bill("dev", monthly_budget_usd=131))
    assert not [line for line in what if any(word in line for word in ("database", "cache", "worker", "secrets"))]
    assert "web tasks, 256 CPU units" in what
