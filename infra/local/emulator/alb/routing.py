"""Where a request goes: to healthy targets only, and a custom domain to its load balancer."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from ministack import app as gateway
from ministack.services import alb, route53

from infra.local.emulator.alb.health import checker, registered

Response = tuple[int, dict[str, str], bytes]
PREFIX = "/_alb/"
"""Before a load balancer's name in a path: ministack's other way to address one."""
_turn = itertools.count()


@dataclass(frozen=True)
class Target:
    """Where a request goes, and the headers that it gets there."""

    address: str
    port: int
    headers: dict[str, str]


_chosen: ContextVar[list[Target] | None] = ContextVar("chosen", default=None)


@contextlib.contextmanager
def choosing() -> Iterator[list[Target]]:
    """In its block a request is not sent: the list gets the target that it would have gone to."""
    chosen: list[Target] = []
    token = _chosen.set(chosen)
    try:
        yield chosen
    finally:
        _chosen.reset(token)


def balancer_of(host: str, path: str) -> Any:
    """The load balancer that a request's host, or its path, names; None where there is none."""
    if not gateway._is_potential_alb_request(host, path):
        return None
    named = alb._find_lb_by_name(path.removeprefix(PREFIX).split("/")[0]) if path.startswith(PREFIX) else None
    return named or alb.find_lb_for_host(host)


def install() -> None:
    """Put these behaviours in the place of ministack's."""
    alb._forward_to_tg = _forwarder(alb._forward_to_tg)
    alb._describe_target_health = _describe_target_health
    alb._ACTION_MAP["DescribeTargetHealth"] = _describe_target_health
    alb.find_lb_for_host = _finder(alb.find_lb_for_host)
    gateway._is_potential_alb_request = _gate(gateway._is_potential_alb_request)
    checker.start()


def routable(arn: str) -> list[tuple[str, int]]:
    """The targets that a request may go to: the healthy ones; where all are unhealthy, all of them.

    The second is AWS's fail-open. A target that was never healthy yet is in neither set.
    """
    targets = registered(arn)
    healthy = [target for target in targets if checker.healthy(arn, *target)]
    return healthy or [target for target in targets if checker.state(arn, *target) == "unhealthy"]


def _forwarder(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def forward(
        arn: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        raw_query: str | None = None,
        raw_path: str | None = None,
    ) -> Any:
        group = alb._tgs.get(arn)
        if not group or group.get("TargetType") not in ("ip", "instance"):
            return await original(arn, method, path, headers, body, query, raw_query, raw_path)
        targets = routable(arn)
        if not targets:
            return 503, {"Content-Type": "text/plain"}, b"503 Service Temporarily Unavailable"
        address, port = targets[next(_turn) % len(targets)]
        chosen = _chosen.get()
        if chosen is not None:
            chosen.append(Target(address, port, headers))
            return 101, {}, b""
        target = {"Id": address, "Port": port}
        return await alb._proxy_http_target(target, group, method, raw_path or path, headers, body, query, raw_query)

    return forward


def _describe_target_health(params: dict[str, Any]) -> Any:
    arn = alb._p(params, "TargetGroupArn")
    if arn not in alb._tgs:
        return alb._error("TargetGroupNotFound", f"Target group '{arn}' not found.")
    asked = {(t["Id"], int(t.get("Port") or 0)) for t in alb._parse_targets_param(params)}
    known = [(key[1], key[2]) for key in [*checker.targets, *checker.draining] if key[0] == arn]
    targets = dict.fromkeys([*registered(arn), *known])
    members = [
        _health_xml(arn, address, port)
        for address, port in targets
        if not asked or (address, port) in asked or (address, 0) in asked
    ]
    body = f"<TargetHealthDescriptions>{''.join(members)}</TargetHealthDescriptions>"
    return alb._xml(200, "DescribeTargetHealth", body)


def _health_xml(arn: str, address: str, port: int) -> str:
    state = checker.state(arn, address, port)
    target = checker.targets.get((arn, address, port))
    reason = {"draining": "Target.DeregistrationInProgress"}.get(state) or (target.reason if target else "")
    leaving = "Target deregistration is in progress" if state == "draining" else ""
    description = leaving or checker.description(arn, address, port)
    told = f"<Reason>{reason}</Reason><Description>{escape(description)}</Description>" if reason else ""
    return (
        f"<member><Target><Id>{escape(address)}</Id><Port>{port}</Port></Target>"
        f"<HealthCheckPort>{port}</HealthCheckPort>"
        f"<TargetHealth><State>{state}</State>{told}</TargetHealth></member>"
    )


def _finder(original: Callable[[str], Any]) -> Callable[[str], Any]:
    def find(host: str) -> Any:
        return original(host) or _balancer_of_domain(_name(host))

    return find


def _gate(original: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
    def may_be_alb(host: str, path: str) -> bool:
        if original(host, path):
            return True
        name = _name(host)
        plain = name in ("localhost", "host.docker.internal", "") or name.replace(".", "").isdigit()
        return not plain and not name.endswith((".localhost", ".amazonaws.com")) and bool(_balancer_of_domain(name))

    return may_be_alb


def _balancer_of_domain(name: str) -> Any:
    """The load balancer that a Route53 alias or a host-header rule gives this domain to."""
    for records in list(route53._records._data.values()):
        for record in records:
            alias = (record.get("AliasTarget") or {}).get("DNSName", "")
            if _name(record.get("Name", "")) == name and alias:
                wanted = _name(alias).removeprefix("dualstack.")
                for balancer in alb._lbs.values():
                    if balancer["DNSName"].lower() == wanted:
                        return balancer
    for rule in alb._rules.values():
        for condition in rule.get("Conditions", []):
            values = (condition.get("HostHeaderConfig") or {}).get("Values") or condition.get("Values") or []
            is_host = condition.get("Field") == "host-header"
            if is_host and any(fnmatch.fnmatchcase(name, value.lower()) for value in values):
                listener = alb._listeners.get(rule.get("ListenerArn", "")) or {}
                return alb._lbs.get(listener.get("LoadBalancerArn", ""))
    return None


def _name(host: str) -> str:
    return host.split(":")[0].lower().rstrip(".")
