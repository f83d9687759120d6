"""`slipway cost STACK`: what a stack costs a month when nobody uses it, from its settings and a price table.

What depends on use is not in the total but told with its unit price: traffic, logs, requests. Files, images and
autoscaled tasks are left out, and so is what an account has free.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.components.endpoints import INTERFACE_ENDPOINTS
from infra.components.waf import MANAGED
from infra.errors import SlipwayError
from infra.settings import ROOT, Settings

PRICES = Path(__file__).with_name("prices.yaml")
GENERATED_SECRETS = 2
"""The app's, and the one that RDS keeps."""
WAF_RULES = 1 + len(MANAGED)
"""The limit for each address, and AWS's groups: a group counts as one."""
WATCHED_METRICS = 12
"""What the alarms read, without the numbers of tasks: cache 2, database 3, load balancer 1, queue 2, web 4."""
ALARMS_OF_A_POLICY = 2
"""AWS makes them for autoscaling by a target: one to scale out, one to scale in."""


@dataclass(frozen=True)
class Line:
    """One line of the bill, in USD a month."""

    what: str
    how_many: float
    each: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.how_many * self.each


@dataclass(frozen=True)
class UnitPrice:
    """What comes on top with use, in USD."""

    what: str
    price: float
    unit: str


def prices() -> dict[str, Any]:
    """The price table."""
    found: dict[str, Any] = yaml.safe_load(PRICES.read_text())
    return found


def lines(settings: Settings) -> list[Line]:
    """The bill of an idle stack. Raises `SlipwayError` for a size that the table does not have."""
    table = prices()
    hours = table["hours"]

    def task(cpu: int, memory: int) -> float:
        fargate = table["fargate"][settings.architecture]
        return float(hours * (cpu / 1024 * fargate["vcpu_hour"] + memory / 1024 * fargate["gb_hour"]))

    def priced(kind: str, size: str) -> Any:
        if size not in table[kind]:
            raise SlipwayError(f"infra/prices.yaml has no price for {size}.", f"Add it under {kind}.")
        return table[kind][size]

    gateways = _gateways(settings)
    # Not twice the price of one: AWS has a price for the pair.
    zones = "multi_az" if settings.database_multi_az else "single_az"
    label = "Multi-AZ" if settings.database_multi_az else "Single-AZ"
    found = [
        Line(
            f"web tasks, {settings.web_cpu} CPU units", settings.web_tasks, task(settings.web_cpu, settings.web_memory)
        ),
        Line(
            f"worker tasks on Spot, {settings.worker_cpu} CPU units",
            settings.worker_tasks,
            task(settings.worker_cpu, settings.worker_memory) * table["fargate_spot"],
        ),
        Line("NAT gateways", gateways, hours * table["nat_gateway_hour"]),
        Line(
            "interface endpoints, in each zone",
            len(INTERFACE_ENDPOINTS) * settings.zones if settings.interface_endpoints else 0,
            hours * table["interface_endpoint_hour"],
        ),
        Line("public IPv4 addresses", gateways + settings.zones, hours * table["public_ipv4_hour"]),
        Line("load balancer", 1, hours * table["load_balancer_hour"]),
        Line("WAF web ACL", int(settings.waf), table["waf_acl_month"]),
        Line("WAF rules", WAF_RULES if settings.waf else 0, table["waf_rule_month"]),
        Line(
            f"database, {settings.database_class}, {label}",
            1,
            hours * priced("rds_hour", settings.database_class)[zones],
        ),
        Line(f"database storage, GB, {label}", settings.database_storage_gb, table["rds_gb_month"][zones]),
        Line(
            f"cache, {settings.cache_class}",
            settings.cache_nodes,
            hours * priced("elasticache_hour", settings.cache_class),
        ),
        Line("Container Insights metrics", _metrics(settings, table["container_insights"]), table["metric_month"]),
        Line("alarms, for each metric that they read", _alarm_metrics(settings), table["alarm_month"]),
        Line("KMS key", 1, table["kms_key_month"]),
        Line("secrets", GENERATED_SECRETS, table["secret_month"]),
    ]
    return [line for line in found if line.how_many]


def with_use(settings: Settings) -> list[UnitPrice]:
    """What a stack that is used costs on top, for each unit."""
    table = prices()
    found = [
        (True, UnitPrice("load balancer capacity", table["load_balancer_unit_hour"], "unit and hour")),
        (True, UnitPrice("traffic to the internet", table["internet_gb"], "GB")),
        (_gateways(settings) > 0, UnitPrice("traffic through NAT gateways", table["nat_gateway_gb"], "GB")),
        (
            settings.interface_endpoints,
            UnitPrice("traffic through interface endpoints", table["interface_endpoint_gb"], "GB"),
        ),
        (True, UnitPrice("logs written", table["log_gb"], "GB")),
        (settings.waf, UnitPrice("requests that the WAF looks at", table["waf_million_requests"], "million")),
    ]
    return [price for wanted, price in found if wanted]


def region_of(stack: str, root: Path = ROOT) -> str:
    """The region that a stack file names; empty where it names none."""
    given = yaml.safe_load((root / "stacks" / f"Pulumi.{stack}.yaml").read_text()).get("config") or {}
    return str(given.get("aws:region", ""))


def as_json(stack: str, settings: Settings, region: str) -> dict[str, Any]:
    """What `slipway cost STACK --json` prints; USD."""
    table = prices()
    found = lines(settings)
    return {
        "stack": stack,
        "stack_region": region,
        "region": table["region"],
        "prices_of": table["date"],
        "lines": [
            {"what": x.what, "how_many": x.how_many, "each": round(x.each, 3), "total": round(x.total, 2)}
            for x in found
        ],
        "total": round(sum(line.total for line in found), 2),
        "with_use": [{"what": x.what, "price": x.price, "unit": x.unit} for x in with_use(settings)],
        "monthly_budget": settings.monthly_budget_usd,
    }


def notes(told: dict[str, Any]) -> list[str]:
    """What a reader of the bill has to know about it, a sentence each."""
    found = []
    if told["stack_region"] not in ("", told["region"]):
        found.append(f"The prices are of {told['region']}. The stack is in {told['stack_region']}: they differ there.")
    if 0 < told["monthly_budget"] < told["total"]:
        found.append(
            f"monthlyBudgetUsd is {told['monthly_budget']}: less than the {told['total']:.2f} that it costs idle."
        )
    return found


def _gateways(settings: Settings) -> int:
    return {"none": 0, "one": 1, "per-zone": settings.zones}[settings.nat_gateways]


def _alarm_metrics(settings: Settings) -> int:
    """Those that tell people, and those that scale: the web's by CPU and by requests, the worker's by two metrics."""
    watched = WATCHED_METRICS + (1 + bool(settings.worker_tasks) if settings.container_insights else 0)
    web = 2 if settings.web_max_tasks > settings.web_tasks else 0
    worker = 2 if settings.worker_max_tasks > settings.worker_tasks else 0
    return watched + ALARMS_OF_A_POLICY * (web + worker)


def _metrics(settings: Settings, each: dict[str, int]) -> int:
    """A service without a running task has no metrics; the tasks that run once are gone in a minute."""
    if not settings.container_insights:
        return 0
    services = 1 + bool(settings.worker_tasks)
    return each["cluster"] + services * (each["service"] + each["task_family"])
