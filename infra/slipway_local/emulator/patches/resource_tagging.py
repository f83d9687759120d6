"""The tagging API reports tags of alarms, load balancers, secrets and log groups too, as AWS's does: ministack
has them, and looks elsewhere only. A search for what a stack left behind would find nothing here and much there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import alb, cloudwatch, cloudwatch_logs, tagging

TaggedResource = tuple[str, list[dict[str, str]]]


def install() -> None:
    """Adds these to ministack's own."""
    tagging._COLLECTORS |= {
        "cloudwatch": _collect_alarms,
        "elasticloadbalancing": _collect_load_balancers,
        "logs": _collect_log_groups,
        "secretsmanager": tagging._collect_secretsmanager,
    }


def _collect_load_balancers() -> Iterator[TaggedResource]:
    yield from list(alb._tags.items())


def _collect_alarms() -> Iterator[TaggedResource]:
    for arn, tags in list(cloudwatch._resource_tags.items()):
        yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]


def _collect_log_groups() -> Iterator[TaggedResource]:
    for name, group in list(cloudwatch_logs._log_groups.items()):
        tags: Any = group.get("tags") or {}
        arn = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{name}"
        yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]
