"""Security groups between containers: packet filter rules of this machine, for connections that no group allows.

Only a connection from a task to another task, or to the published port of a data store, is ever dropped, and only where
both ends are of this emulator. All rules are in a chain of its own, which goes with it.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ministack.services import ecs, elasticache, rds

from slipway_local.emulator import docker_host
from slipway_local.emulator.labels import gateway_port
from slipway_local.emulator.patches.rds_elasticache import POSTGRES_PORT, requested_ports
from slipway_local.emulator.security_groups import (
    ConnectionEnd,
    has_groups,
    is_connection_allowed,
    list_allowed_ports,
    task_end,
)
from slipway_local.firewall_chain import add_chain, find_obstacle, replace_rules

log = logging.getLogger("slipway.firewall")

TICK_SECONDS = 0.25
REDIS_PORT = 6379
_lock = threading.Lock()
_is_enforced = threading.Event()
_applied_rules: list[str] = []


@dataclass(frozen=True)
class _Store:
    """A database or cache, as containers reach it."""

    end: ConnectionEnd
    service_port: int
    """The port that the security groups' rules name."""
    host_port: int
    """The port of this machine where it is published."""


def start_firewall() -> None:
    """Keeps the rules as the security groups want them, for as long as this process lives; or log why not."""
    reason = find_obstacle(docker_host.bridge_address())
    if reason:
        log.warning("security groups between containers are not enforced: %s", reason)
        return
    add_chain(gateway_port())
    _is_enforced.set()
    threading.Thread(target=_loop, daemon=True, name="firewall").start()


def stop_firewall() -> None:
    """Change no rule any more: the chain is about to be removed."""
    _is_enforced.clear()


def _loop() -> None:
    while _is_enforced.is_set():
        time.sleep(TICK_SECONDS)
        try:
            refresh_firewall()
        except (RuntimeError, subprocess.CalledProcessError):  # a dictionary changed meanwhile: the next tick sees it
            log.exception("the rules were not brought up to date")


def refresh_firewall() -> None:
    """Bring the rules up to date now: before the containers of a new task begin to talk."""
    if not _is_enforced.is_set():
        return
    with _lock:
        rules = list(_build_rules())
        if rules != _applied_rules:
            replace_rules(gateway_port(), rules)
            _applied_rules[:] = rules


def _build_rules() -> Iterator[str]:
    tasks = {}
    for _, task in list(ecs._tasks.all_items()):
        address = ecs._task_ip(task)
        if address and task["lastStatus"] != "STOPPED":
            tasks[address] = task_end(task)
    stores = list(_list_stores())
    new = "-p tcp -m conntrack --ctstate NEW"
    for source_address, source in sorted(tasks.items()):
        for store in stores:
            if not is_connection_allowed(source, store.end, store.service_port):
                yield f"-s {source_address} -d {docker_host.bridge_address()} {new} --dport {store.host_port} -j DROP"
        for target_address, target in sorted(tasks.items()):
            if source_address == target_address or not (has_groups(source) or has_groups(target)):
                continue
            for first, last in list_allowed_ports(source, target):
                yield f"-s {source_address} -d {target_address} {new} --dport {first}:{last} -j RETURN"
            yield f"-s {source_address} -d {target_address} {new} -j DROP"


def _list_stores() -> Iterator[_Store]:
    for (account, region, name), instance in list(rds._instances.all_items()):
        groups = tuple(group["VpcSecurityGroupId"] for group in instance.get("VpcSecurityGroups") or [])
        if instance.get("_HostPort"):
            port = requested_ports.get(name, POSTGRES_PORT)
            yield _Store(ConnectionEnd(account, region, groups), port, int(instance["_HostPort"]))
    for (account, region, _), cache in list(elasticache._replication_groups.all_items()):
        groups = tuple(group["SecurityGroupId"] for group in cache.get("SecurityGroups") or [])
        for shard in cache.get("NodeGroups") or []:
            endpoint = shard.get("PrimaryEndpoint") or {}
            if endpoint.get("Port"):
                yield _Store(ConnectionEnd(account, region, groups), REDIS_PORT, int(endpoint["Port"]))
