"""Routes requests to healthy targets, and custom domains to their load balancers."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from ministack import app as gateway
from ministack.core.responses import request_scope
from ministack.services import alb, route53

from slipway_local.emulator.alb.proxy import (
    TargetRequest,
    connection_timeout_response,
    error_response,
    forward_request,
)
from slipway_local.emulator.alb.target_access import may_connect
from slipway_local.emulator.alb.target_health import health_checker, registered_targets
from slipway_local.emulator.security_groups import account_and_region

LOAD_BALANCER_PATH_PREFIX = "/_alb/"
"""Before a load balancer's name in a path: ministack's other way to address one."""
_round_robin = itertools.count()


@dataclass(frozen=True)
class ForwardTarget:
    """The target of a request, and the headers that it gets."""

    address: str
    port: int
    headers: dict[str, str]


_current_balancer: ContextVar[Any] = ContextVar("balancer", default=None)
"""The load balancer whose request this is."""
_captured_targets: ContextVar[list[ForwardTarget] | None] = ContextVar("chosen", default=None)


@contextlib.contextmanager
def capture_target() -> Iterator[list[ForwardTarget]]:
    """Yields a list that gets the target of a request, which is not sent, for as long as the block lasts."""
    chosen: list[ForwardTarget] = []
    token = _captured_targets.set(chosen)
    try:
        yield chosen
    finally:
        _captured_targets.reset(token)


def find_load_balancer(host: str, path: str) -> Any:
    """Returns the load balancer that a request's host, or its path, names; None where there is none."""
    if not gateway._is_potential_alb_request(host, path):
        return None
    named = (
        alb._find_lb_by_name(path.removeprefix(LOAD_BALANCER_PATH_PREFIX).split("/")[0])
        if path.startswith(LOAD_BALANCER_PATH_PREFIX)
        else None
    )
    return named or alb.find_lb_for_host(host)


def looks_like_load_balancer(host: str) -> bool:
    """Returns whether what stands before a host's first colon is the name of a load balancer."""
    name = host.split(":")[0]
    return bool(name) and gateway._is_potential_alb_request(name, "/") and alb.find_lb_for_host(name) is not None


def install() -> None:
    """Puts these behaviours in the place of ministack's."""
    alb.dispatch_request = _wrap_dispatch(alb.dispatch_request)
    alb._forward_to_tg = _wrap_forward_to_target_group(alb._forward_to_tg)
    alb._describe_target_health = _describe_target_health
    alb._ACTION_MAP["DescribeTargetHealth"] = _describe_target_health
    alb.find_lb_for_host = _wrap_find_load_balancer(alb.find_lb_for_host)
    gateway._is_potential_alb_request = _wrap_is_load_balancer_request(gateway._is_potential_alb_request)
    gateway._handle_pre_body_request = _wrap_own_paths(gateway._handle_pre_body_request)
    gateway._handle_post_body_shortcuts = _wrap_own_paths(gateway._handle_post_body_shortcuts)
    health_checker.start()


def idle_timeout(balancer: Any) -> float:
    """Returns the seconds that a connection of a load balancer may be silent; AWS's default is 60."""
    return float(alb._lb_attr(balancer["LoadBalancerArn"], "idle_timeout.timeout_seconds", "60"))


def routable_targets(arn: str) -> list[tuple[str, int]]:
    """Returns the targets that a request may go to: the healthy ones; where all are unhealthy, all of them.

    The second is AWS's fail-open. A target that was never healthy yet is in neither set.
    """
    targets = registered_targets(arn)
    healthy = [target for target in targets if health_checker.is_healthy(arn, *target)]
    return healthy or [target for target in targets if health_checker.state(arn, *target) == "unhealthy"]


def _wrap_own_paths(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Keeps the gateway's own paths, such as /health and /login, from requests to load balancers: apps use them."""

    async def handle(method: str, path: str, headers: dict[str, str], *arguments: Any) -> Any:
        if find_load_balancer(headers.get("host", ""), path):
            return None
        return await original(method, path, headers, *arguments)

    return handle


def _wrap_dispatch(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def dispatch(balancer: Any, *arguments: Any, **options: Any) -> Any:
        token = _current_balancer.set(balancer)
        try:
            with request_scope(*account_and_region(balancer["LoadBalancerArn"])):  # a request itself names no account
                return await original(balancer, *arguments, **options)
        finally:
            _current_balancer.reset(token)

    return dispatch


def _wrap_forward_to_target_group(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
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
        targets = routable_targets(arn)
        if not targets:
            return error_response(503)
        address, port = targets[next(_round_robin) % len(targets)]
        balancer = _current_balancer.get()
        if not may_connect(balancer, address, port):
            return await connection_timeout_response()
        chosen = _captured_targets.get()
        if chosen is not None:
            chosen.append(ForwardTarget(address, port, headers))
            return 101, {}, b""
        text = urlencode(query or {}, doseq=True) if raw_query is None else raw_query
        return await forward_request(
            TargetRequest(
                address=address,
                port=port,
                method=method,
                path=(raw_path or path) + (f"?{text}" if text else ""),
                headers={"host": balancer["DNSName"]} | headers,
                body=body or b"",
                idle_timeout=idle_timeout(balancer),
            )
        )

    return forward


def _describe_target_health(params: dict[str, Any]) -> Any:
    arn = alb._p(params, "TargetGroupArn")
    if arn not in alb._tgs:
        return alb._error("TargetGroupNotFound", f"Target group '{arn}' not found.")
    requested = {(t["Id"], int(t.get("Port") or 0)) for t in alb._parse_targets_param(params)}
    checked = [(key[1], key[2]) for key in [*health_checker.targets, *health_checker.draining] if key[0] == arn]
    targets = dict.fromkeys([*registered_targets(arn), *checked])
    members = [
        _health_xml(arn, address, port)
        for address, port in targets
        if not requested or (address, port) in requested or (address, 0) in requested
    ]
    body = f"<TargetHealthDescriptions>{''.join(members)}</TargetHealthDescriptions>"
    return alb._xml(200, "DescribeTargetHealth", body)


def _health_xml(arn: str, address: str, port: int) -> str:
    state = health_checker.state(arn, address, port)
    target = health_checker.targets.get((arn, address, port))
    reason = {"draining": "Target.DeregistrationInProgress"}.get(state) or (target.reason if target else "")
    draining = "Target deregistration is in progress" if state == "draining" else ""
    description = draining or health_checker.description(arn, address, port)
    explanation = f"<Reason>{reason}</Reason><Description>{escape(description)}</Description>" if reason else ""
    return (
        f"<member><Target><Id>{escape(address)}</Id><Port>{port}</Port></Target>"
        f"<HealthCheckPort>{port}</HealthCheckPort>"
        f"<TargetHealth><State>{state}</State>{explanation}</TargetHealth></member>"
    )


def _wrap_find_load_balancer(original: Callable[[str], Any]) -> Callable[[str], Any]:
    def find(host: str) -> Any:
        return original(host) or _find_in_any_account(host) or _find_load_balancer_by_domain(_normalize_host(host))

    return find


def _find_in_any_account(host: str) -> Any:
    """Returns the load balancer of a host, which names it in the whole world: ministack looks in one account."""
    name = host.split(":")[0].lower()
    for _, balancer in alb._lbs.all_items():
        if name in (balancer["DNSName"].lower(), f"{balancer['LoadBalancerName'].lower()}.alb.localhost"):
            return balancer
    return None


def _wrap_is_load_balancer_request(original: Callable[[str, str], bool]) -> Callable[[str, str], bool]:
    def may_be_alb(host: str, path: str) -> bool:
        if original(host, path):
            return True
        name = _normalize_host(host)
        plain = name in ("localhost", "host.docker.internal", "") or name.replace(".", "").isdigit()
        return (
            not plain
            and not name.endswith((".localhost", ".amazonaws.com"))
            and bool(_find_load_balancer_by_domain(name))
        )

    return may_be_alb


def _find_load_balancer_by_domain(name: str) -> Any:
    """Returns the load balancer that a Route53 alias or a host-header rule gives this domain to."""
    for records in list(route53._records._data.values()):
        for record in records:
            alias = (record.get("AliasTarget") or {}).get("DNSName", "")
            if _normalize_host(record.get("Name", "")) == name and alias:
                dns_name = _normalize_host(alias).removeprefix("dualstack.")
                for balancer in alb._lbs.values():
                    if balancer["DNSName"].lower() == dns_name:
                        return balancer
    for rule in alb._rules.values():
        for condition in rule.get("Conditions", []):
            values = (condition.get("HostHeaderConfig") or {}).get("Values") or condition.get("Values") or []
            is_host = condition.get("Field") == "host-header"
            if is_host and any(fnmatch.fnmatchcase(name, value.lower()) for value in values):
                listener = alb._listeners.get(rule.get("ListenerArn", "")) or {}
                return alb._lbs.get(listener.get("LoadBalancerArn", ""))
    return None


def _normalize_host(host: str) -> str:
    return host.split(":")[0].lower().rstrip(".")
