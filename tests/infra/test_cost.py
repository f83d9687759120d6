"""The bill of an idle stack, and what use adds to it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipway.cli import main
from slipway.components.vpc_endpoints import TASK_ENDPOINTS
from slipway.config.aws_limits import DATABASE_MEMORY_GIB
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.graph import cost, plan
from tests.infra.program import STACKS, plain, program, programmed
from tests.infra.recorder import Registered, of
from tests.paths import FIXTURES

DATABASE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
POLICY = "aws:appautoscaling/policy:Policy"
BUDGET = "aws:budgets/budget:Budget"


@cache
def other() -> list[Registered]:
    """The stack dev with whatever a switch decides the other way."""
    given = {
        "architecture": "ARM64",
        "waf": True,
        "natGateways": "none",
        "publicTasks": False,
        "interfaceEndpoints": True,
        "containerInsights": True,
        "domain": "api.acme.test",
        "hostedZoneId": "Z1",
        "monthlyBudgetUsd": 0,
        "processes": {"web": {"cpu": 256, "memory": 512, "maxTasks": 2}, "worker": {"tasks": 0, "maxTasks": 0}},
    }
    values = Settings.from_files("dev").model_dump(by_alias=True)
    return programmed("dev", Settings.load(values | given, "a test's stack"))


@cache
def bare() -> list[Registered]:
    """The stack dev with an app that has no store."""
    return programmed("dev", Settings.from_files("dev"), FIXTURES / "bare.yaml")


def graph(found: list[Registered]) -> list[cost.PricedResource]:
    """As the bill looks at it."""
    return [cost.PricedResource(r.type, r.name, {key: plain(value) for key, value in r.inputs.items()}) for r in found]


def but(found: list[cost.PricedResource], kind: str, name: str = "", **inputs: Any) -> list[cost.PricedResource]:
    """The same with other inputs of a resource: what the bill reads is the graph, whatever made it."""
    hit = [r for r in found if r.type == kind and name in r.name]
    assert len(hit) == 1, hit
    return [replace(r, inputs={**r.inputs, **inputs}) if r is hit[0] else r for r in found]


def without(found: list[cost.PricedResource], kind: str, name: str = "") -> list[cost.PricedResource]:
    left = [r for r in found if r.type != kind or name not in r.name]
    assert len(left) < len(found)
    return left


def bill(found: list[cost.PricedResource]) -> dict[str, cost.CostLine]:
    return {line.what: line for line in cost.calculate_idle_cost(found)}


def of_stack(stack: str) -> list[cost.PricedResource]:
    return graph(program(stack))


def told(stack: str, found: list[cost.PricedResource] | None = None, region: str = "us-east-1") -> dict[str, Any]:
    return cost.cost_as_json(stack, found or of_stack(stack), region)


def test_whatever_the_program_makes_has_a_price_or_is_known_to_have_none() -> None:
    """A new type of resource is looked up before it can be forgotten on the bill."""
    made = [r for found in (*map(program, STACKS), other(), bare()) for r in found]
    types = {r.type for r in made if r.type.startswith(("aws:", "docker-build:"))}
    assert {
        kind for kind in types if kind not in cost.COST_FUNCTIONS and not kind.startswith(cost.FREE_TYPE_PREFIXES)
    } == set()


def test_a_line_is_what_its_prices_say() -> None:
    found = bill(of_stack("dev"))
    assert found["public IPv4 addresses of tasks"].total == pytest.approx(2 * 730 * 0.005)
    # A quarter of a vCPU and half a GB for 730 hours.
    assert found["web tasks, 256 CPU units"].total == pytest.approx(730 * (0.25 * 0.04048 + 0.5 * 0.004445))


def test_graviton_tasks_have_their_own_price() -> None:
    found = bill(graph(other()))
    assert found["web tasks, 256 CPU units"].each == pytest.approx(730 * (0.25 * 0.03238 + 0.5 * 0.00356))


def test_workers_on_spot_cost_a_part_of_that() -> None:
    same = bill(of_stack("dev"))
    spot, web = same["worker tasks on Spot, 256 CPU units"].total, same["web tasks, 256 CPU units"].total
    assert spot == pytest.approx(0.3 * web)


def test_a_multi_az_database_has_the_price_of_the_pair_and_its_storage_too() -> None:
    prod = but(of_stack("prod"), DATABASE, instanceClass="db.t4g.small")
    found = bill(prod)
    # AWS asks 0.065 an hour for the pair, not twice 0.032.
    assert found["database, db.t4g.small, Multi-AZ"].total == pytest.approx(730 * 0.065)
    assert found["database storage, GB, Multi-AZ"].total == pytest.approx(100 * 0.23)
    alone = bill(but(prod, DATABASE, multiAz=False))
    assert alone["database, db.t4g.small, Single-AZ"].total == pytest.approx(730 * 0.032)
    assert alone["database storage, GB, Single-AZ"].total == pytest.approx(100 * 0.115)


def test_every_zone_has_its_gateway_and_every_gateway_and_zone_an_address_in_production() -> None:
    found = bill(of_stack("prod"))
    assert found["NAT gateways"].how_many == 3
    assert found["public IPv4 addresses"].how_many == 6


def test_a_firewall_costs_its_acl_and_each_of_its_rules_and_nothing_when_there_is_none() -> None:
    found = bill(graph(other()))
    assert found["WAF web ACL"].total + found["WAF rules"].total == pytest.approx(5 + 5 * 1)
    assert not [what for what in bill(of_stack("dev")) if "WAF" in what]


def test_an_interface_endpoint_is_paid_in_each_zone() -> None:
    found = bill(graph(other()))["interface endpoints, in each zone"]
    assert found.how_many == 2 * len(TASK_ENDPOINTS)
    assert found.total == pytest.approx(2 * len(TASK_ENDPOINTS) * 730 * 0.01)
    assert not [what for what in bill(of_stack("prod")) if "endpoints" in what]


def test_container_insights_counts_the_cluster_and_each_service_that_runs() -> None:
    both, one = bill(of_stack("staging")), bill(graph(other()))
    assert "Container Insights metrics" not in bill(of_stack("dev"))
    assert both["Container Insights metrics"].how_many == 10 + 3 * (13 + 8)
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
    assert bill(of_stack(stack))["alarms, for each metric that they read"].how_many == people + scaling


def test_a_service_that_does_not_scale_needs_no_alarms_for_it() -> None:
    def read(found: list[cost.PricedResource]) -> float:
        return bill(found)["alarms, for each metric that they read"].how_many

    staging = of_stack("staging")
    assert read(staging) == read(without(staging, POLICY, "web")) + 4
    assert read(staging) == read(without(staging, POLICY, "worker")) + 4
    names = {r.name for r in other() if r.type in (POLICY, "aws:cloudwatch/metricAlarm:MetricAlarm")}
    assert "slipway-dev-web-tasks" in names
    assert not [name for name in names if re.search("worker|web-(cpu|requests)", name)]


@pytest.mark.parametrize("stack", STACKS)
def test_the_rules_and_endpoints_that_are_paid_are_those_of_the_program(stack: str) -> None:
    found, paid = program(stack), bill(of_stack(stack))
    acls = of(found, "aws:wafv2/webAcl:WebAcl")
    rules = paid["WAF rules"].how_many if "WAF rules" in paid else 0
    assert rules == sum(len(acl.inputs["rules"]) for acl in acls)
    endpoints = [e for e in of(found, "aws:ec2/vpcEndpoint:VpcEndpoint") if e.inputs["vpcEndpointType"] == "Interface"]
    line = paid.get("interface endpoints, in each zone")
    assert (line.how_many if line else 0) == sum(len(endpoint.inputs["subnetIds"]) for endpoint in endpoints)


def test_the_hosted_zone_is_the_teams_own_and_no_line() -> None:
    named = graph(other())
    records = [r for r in named if r.type.startswith(("aws:route53/", "aws:acm/"))]
    assert records
    assert bill([r for r in named if r not in records]) == bill(named)


@pytest.mark.parametrize("stack", STACKS)
def test_the_total_is_the_sum_of_the_lines(stack: str) -> None:
    found = told(stack)
    assert found["total"] == pytest.approx(sum(line["total"] for line in found["lines"]), abs=0.05)


def test_dev_is_cheaper_than_staging_and_that_than_production() -> None:
    totals = [told(stack)["total"] for stack in STACKS]
    assert totals == sorted(totals)


def test_every_database_that_a_stack_may_name_has_both_prices() -> None:
    table = cost.load_prices()["rds_hour"]
    assert set(table) >= set(DATABASE_MEMORY_GIB)
    for size, price in table.items():
        # Rounded by AWS, so not exactly twice.
        assert price["multi_az"] == pytest.approx(2 * price["single_az"], abs=0.0011), size


def test_a_size_without_a_price_is_named() -> None:
    with pytest.raises(SlipwayError, match=r"prices\.yaml has no price for cache\.x9\.huge"):
        bill(but(of_stack("dev"), CACHE, nodeType="cache.x9.huge"))


def test_every_price_says_where_it_comes_from() -> None:
    known = re.compile(r"# .*(unchecked|no date|\d{4}-\d{2}|v\d+\.\d+|copy of \d{4})")
    rows = [row for row in cost.PRICES_FILE.read_text().splitlines() if re.match(r"[\w. ]+: [{\d]", row)]
    assert [row for row in rows if not known.search(row)] == ["hours: 730"]


def test_use_adds_only_what_the_stack_has() -> None:
    dev, switched = (
        {price.what for price in cost.list_usage_prices(graph(found))} for found in (program("dev"), other())
    )
    assert {"load balancer capacity", "logs written"} <= dev & switched
    assert dev - switched == set()
    assert switched - dev == {"traffic through interface endpoints", "requests inspected by the WAF"}


def test_use_has_the_tables_unit_prices() -> None:
    found = {row["what"]: (row["price"], row["unit"]) for row in told("prod")["with_use"]}
    assert found["load balancer capacity"] == (0.008, "unit and hour")
    assert found["traffic through NAT gateways"] == (0.045, "GB")
    assert found["logs written"] == (0.5, "GB")
    assert found["requests inspected by the WAF"] == (0.6, "million")
    assert found["samples to Amazon Managed Prometheus"] == (0.9, "10 million")
    assert found["samples that it keeps"] == (0.03, "GB and month")


def test_a_stack_elsewhere_is_told_that_the_prices_are_not_its_own() -> None:
    assert [note for note in cost.cost_notes(told("dev", region="eu-central-1")) if "eu-central-1" in note]
    assert not cost.cost_notes(told("dev"))
    assert not cost.cost_notes(told("dev", region=""))


def test_the_region_is_the_stack_files(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    file = tmp_path / "stacks" / "Pulumi.here.yaml"
    file.write_text("config:\n  aws:region: eu-north-1\n")
    assert cost.read_stack_region("here", tmp_path) == "eu-north-1"
    file.write_text("config: {}\n")
    assert cost.read_stack_region("here", tmp_path) == ""


def test_a_budget_below_the_idle_cost_is_told_and_one_above_is_not() -> None:
    total = told("dev")["total"]

    def notes(limit: int) -> list[str]:
        return cost.cost_notes(told("dev", but(of_stack("dev"), BUDGET, limitAmount=str(limit))))

    (note,) = notes(int(total) - 1)
    assert f"{total:.2f}" in note
    assert "monthlyBudgetUsd" in note
    assert not notes(int(total) + 1)
    assert not cost.cost_notes(told("dev", graph(other())))  # none is set


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes its graph from the engine; here from the recorder, and tests/local compares the two."""
    monkeypatch.setattr(plan, "list_priced_resources", of_stack)


@pytest.mark.usefixtures("planned")
def test_the_command_prints_the_total_and_below_it_what_use_adds() -> None:
    shown = CliRunner().invoke(main.app, ["cost", "prod"]).output
    assert shown.index("total") < shown.index("Usage costs in addition") < shown.index("0.045 USD a GB")
    assert f"{told('prod')['total']:.2f}" in shown


@pytest.mark.usefixtures("planned")
def test_the_commands_json_is_the_bill() -> None:
    shown = CliRunner().invoke(main.app, ["cost", "staging", "--json"]).output
    assert json.loads(shown) == told("staging")


def test_an_app_without_stores_pays_for_none() -> None:
    what = set(bill(graph(bare())))
    assert not [line for line in what if any(word in line for word in ("database", "cache", "worker", "secrets"))]
    assert "web tasks, 256 CPU units" in what
