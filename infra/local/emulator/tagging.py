"""The tagging API tells of load balancers', secrets' and log groups' tags too, as AWS's does: ministack has them, and
looks elsewhere only. A search for what a stack left behind would find nothing here and much there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import alb, cloudwatch_logs, tagging

Tagged = tuple[str, list[dict[str, str]]]


def install() -> None:
    """Put these beside ministack's own."""
    tagging._COLLECTORS |= {
        "elasticloadbalancing": _balancers,
        "logs": _log_groups,
        "secretsmanager": tagging._collect_secretsmanager,
    }


def _balancers() -> Iterator[Tagged]:
    yield from list(alb._tags.items())


def _log_groups() -> Iterator[Tagged]:
    for name, group in list(cloudwatch_logs._log_groups.items()):
        tags: Any = group.get("tags") or {}
        arn = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{name}"
        yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]
