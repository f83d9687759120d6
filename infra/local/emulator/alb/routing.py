"""Where a request goes: to healthy targets only, and a custom domain to its load balancer."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Awaitable, Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack import app as gateway
from ministack.services import alb, route53

from infra.local.emulator.alb.health import checker, registered

Response = tuple[int, dict[str, str], bytes]
_turn = itertools.count()


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
    told = f"<Reason>{reason}</Reason>" if reason and state != "healthy" else ""
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
