"""Target health from real checks, and draining for the deregistration delay.

AWS's rules that a deployment depends on: a new target is `initial` and gets no traffic until its first success;
`UnhealthyThresholdCount` failures in a row make it `unhealthy`, `HealthyThresholdCount` successes `healthy` again; a
deregistered target is `draining` for the target group's deregistration delay.
"""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ministack.services import alb

from slipway_local.emulator.alb.target_access import may_be_checked
from slipway_local.emulator.security_groups import account_and_region

TICK_SECONDS = 0.2
FIRST_CHECK_SECONDS = 1.0
"""AWS's checkers, many of them, reach a new target within a second or two, whatever the interval is."""
CHECKER_THREADS = 8

TargetKey = tuple[str, str, int]
"""Target group ARN, address, port."""


HealthCheckFailure = tuple[str, str]
"""AWS's code of why a check failed, and its description."""
TIMED_OUT: HealthCheckFailure = ("Target.Timeout", "Request timed out")


@dataclass
class TargetHealth:
    """One registered target and what its checks said."""

    state: str = "initial"
    reason: str = "Elb.RegistrationInProgress"
    successes: int = 0
    failures: int = 0
    due: float = 0.0
    description: str = "Target registration is in progress"
    running: Future[HealthCheckFailure | None] | None = None
    since: float = field(default_factory=time.monotonic)

    def record(self, trouble: HealthCheckFailure | None, healthy_threshold: int, unhealthy_threshold: int) -> None:
        """Counts one check; no `trouble`: it succeeded."""
        if trouble:
            self.failures = self.failures + 1
            self.successes = 0
            if self.failures >= unhealthy_threshold:
                self.state, (self.reason, self.description) = "unhealthy", trouble
        else:
            self.successes = self.successes + 1
            self.failures = 0
            if self.state == "initial" or self.successes >= healthy_threshold:
                self.state = "healthy"
                self.reason = ""
                self.description = ""


class HealthChecker:
    """Checks every target of every target group, as often as the group says."""

    def __init__(self) -> None:
        self.targets: dict[TargetKey, TargetHealth] = {}
        self.draining: dict[TargetKey, float] = {}
        """When the draining of each deregistered target ends."""
        self._pool = ThreadPoolExecutor(CHECKER_THREADS, thread_name_prefix="alb-health")

    def start(self) -> None:
        """Checks for as long as this process lives."""
        threading.Thread(target=self._loop, daemon=True, name="alb-health").start()

    def state(self, group: str, address: str, port: int) -> str:
        """Returns the target's state as DescribeTargetHealth names it; `unused` for one that is not registered."""
        key = (group, address, port)
        if key in self.targets:
            return self.targets[key].state
        return "draining" if key in self.draining else "unused"

    def description(self, group: str, address: str, port: int) -> str:
        """Returns why the target is not healthy; empty when it is."""
        target = self.targets.get((group, address, port))
        return target.description if target else ""

    def is_healthy(self, group: str, address: str, port: int) -> bool:
        """Returns whether the load balancer would send a request there; always so without health checks."""
        target_group = _target_groups().get(group)
        if target_group is None:
            return False
        return not _has_health_check(target_group) or self.state(group, address, port) == "healthy"

    def drain(self, group: str, address: str, port: int) -> None:
        """Begin draining a target that is deregistered."""
        key = (group, address, port)
        if self.targets.pop(key, None) is not None:
            self.draining[key] = time.monotonic() + deregistration_delay(group)

    def _loop(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            try:
                self.tick()
            except RuntimeError:  # a dictionary of ministack's changed while it was read: the next tick sees it
                continue

    def tick(self) -> None:
        """Adds new targets, drains removed ones, collects results, and sends the checks that are due."""
        now = time.monotonic()
        for key in [key for key, end in self.draining.items() if end <= now]:
            self.draining.pop(key, None)
        live: set[TargetKey] = set()
        for arn, group in _target_groups().items():
            for address, port in registered_targets(arn):
                key = (arn, address, port)
                live.add(key)
                target = self.targets.setdefault(key, TargetHealth())
                if _has_health_check(group):
                    self._check(key, target, group, now)
                else:
                    target.state = "healthy"
                    target.reason = ""
                    target.description = ""
        for key in set(self.targets) - live:
            self.drain(*key)

    def _check(self, key: TargetKey, target: TargetHealth, group: dict[str, Any], now: float) -> None:
        if target.running is not None:
            if not target.running.done():
                return
            trouble = target.running.result()
            target.running = None
            target.record(trouble, group["HealthyThresholdCount"], group["UnhealthyThresholdCount"])
            interval = group["HealthCheckIntervalSeconds"]
            target.due = now + (min(interval, FIRST_CHECK_SECONDS) if target.state == "initial" else interval)
        if now >= target.due:
            target.running = self._pool.submit(run_health_check, key[1], key[2], group)


def run_health_check(address: str, port: int, group: dict[str, Any]) -> HealthCheckFailure | None:
    """Sends one health check, and return why it failed; None when it succeeded."""
    check_port = group.get("HealthCheckPort", "traffic-port")
    port_number = port if check_port == "traffic-port" else int(check_port)
    if not may_be_checked(group, address, port_number):
        return TIMED_OUT
    connection = http.client.HTTPConnection(address, port_number, timeout=group["HealthCheckTimeoutSeconds"])
    try:
        connection.request("GET", group["HealthCheckPath"], headers={"User-Agent": "ELB-HealthChecker/2.0"})
        status = connection.getresponse().status
    except TimeoutError:
        return TIMED_OUT
    except (OSError, http.client.HTTPException):
        return "Target.FailedHealthChecks", "Health checks failed"
    finally:
        connection.close()
    matcher = (group.get("Matcher") or {}).get("HttpCode", "200")
    if _matches(status, matcher):
        return None
    return "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"


def _matches(status: int, matcher: str) -> bool:
    """Returns whether a status is in a matcher like `200`, `200,302` or `200-299`."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


def registered_targets(arn: str) -> list[tuple[str, int]]:
    """Returns the targets registered in a group, as address and port."""
    account, region = account_and_region(arn)
    group = alb._tgs.get_scoped(account, region, arn)
    default = int((group or {}).get("Port") or 80)
    targets = alb._targets.get_scoped(account, region, arn) or []
    return [(str(target["Id"]), int(target.get("Port") or default)) for target in list(targets)]


def deregistration_delay(arn: str) -> float:
    """Seconds that a deregistered target drains; AWS's default is 300."""
    for attribute in alb._tg_attrs.get_scoped(*account_and_region(arn), arn) or []:
        if attribute["Key"] == "deregistration_delay.timeout_seconds":
            return float(attribute["Value"])
    return 300.0


def _target_groups() -> dict[str, dict[str, Any]]:
    return {
        arn: group for (_, _, arn), group in list(alb._tgs.all_items()) if group.get("TargetType") in ("ip", "instance")
    }


def _has_health_check(group: dict[str, Any]) -> bool:
    return bool(group.get("HealthCheckEnabled", True))


health_checker = HealthChecker()
