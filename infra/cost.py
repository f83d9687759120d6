"""`slipway cost STACK`: what a stack costs a month when nobody uses it, from its settings and a price table.

Left out is what depends on use: traffic, storage of logs and files, requests, autoscaled tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.errors import SlipwayError
from infra.settings import Settings

PRICES = Path(__file__).with_name("prices.yaml")
GENERATED_SECRETS = 2
"""The app's, and the one that RDS keeps."""


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


def prices() -> dict[str, Any]:
    """The price table."""
    found: dict[str, Any] = yaml.safe_load(PRICES.read_text())
    return found


def lines(settings: Settings) -> list[Line]:
    """The bill of an idle stack. Raises `SlipwayError` for a size that the table does not have."""
    table = prices()
    hours = table["hours"]

    def task(cpu: int, memory: int) -> float:
        fargate = table["fargate"]
        return float(hours * (cpu / 1024 * fargate["vcpu_hour"] + memory / 1024 * fargate["gb_hour"]))

    def hourly(kind: str, size: str) -> float:
        if size not in table[kind]:
            raise SlipwayError(f"infra/prices.yaml has no price for {size}.", f"Add it under {kind}.")
        return float(hours * table[kind][size])

    gateways = {"none": 0, "one": 1, "per-zone": settings.zones}[settings.nat_gateways]
    copies = 2 if settings.database_multi_az else 1
    found = [
        Line(
            f"web tasks, {settings.web_cpu} CPU units", settings.web_tasks, task(settings.web_cpu, settings.web_memory)
        ),
        Line(
            f"worker tasks on Spot, {settings.worker_cpu} CPU units",
            settings.worker_tasks,
            task(settings.worker_cpu, settings.worker_memory) * table["fargate"]["spot"],
        ),
        Line("NAT gateways", gateways, hours * table["nat_gateway_hour"]),
        Line("public IPv4 addresses", gateways + settings.zones, hours * table["public_ipv4_hour"]),
        Line("load balancer", 1, hours * table["load_balancer_hour"]),
        Line(f"database, {settings.database_class}", copies, hourly("rds_hour", settings.database_class)),
        Line("database storage, GB", settings.database_storage_gb * copies, table["rds_gb_month"]),
        Line(f"cache, {settings.cache_class}", settings.cache_nodes, hourly("elasticache_hour", settings.cache_class)),
        Line("KMS key", 1, table["kms_key_month"]),
        Line("secrets", GENERATED_SECRETS, table["secret_month"]),
    ]
    return [line for line in found if line.how_many]


def as_json(stack: str, found: list[Line]) -> dict[str, Any]:
    """What `slipway cost STACK --json` prints; USD."""
    table = prices()
    return {
        "stack": stack,
        "region": table["region"],
        "prices_of": table["date"],
        "lines": [
            {"what": x.what, "how_many": x.how_many, "each": round(x.each, 2), "total": round(x.total, 2)}
            for x in found
        ],
        "total": round(sum(line.total for line in found), 2),
    }
