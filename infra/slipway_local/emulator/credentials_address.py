"""The link-local address where ECS gives tasks their role's credentials: AWS's SDKs take it over HTTP, and few others.

A Docker network puts it on this machine, so that no rights of root are needed. No container is in that network: each
one reaches this machine's addresses through its own gateway. All emulators of a machine share the address, each on its
own port.
"""

from __future__ import annotations

import logging
import socket
from functools import cache

import docker.errors
import psutil
from docker.types import IPAMConfig, IPAMPool

import docker

log = logging.getLogger("slipway.credentials")

ADDRESS = "169.254.170.2"
SUBNET = "169.254.170.0/24"
NETWORK_NAME = "slipway-task-credentials"
_marks: list[socket.socket] = []
"""Listens on the address as soon as it exists, so that no other emulator removes the network."""


@cache
def credentials_address() -> str:
    """Returns the address, created where it is missing; empty where this process cannot listen on it, with a log line.

    Without it tasks get the person's keys `test`, and may do everything.
    """
    try:
        _create_network()
        mark = socket.create_server((ADDRESS, 0))
    except (OSError, docker.errors.DockerException) as error:
        log.warning("tasks get no credentials of their roles, for %s cannot be served: %s", ADDRESS, error)
        return ""
    _marks.append(mark)
    return ADDRESS


def _create_network() -> None:
    client = docker.from_env(timeout=30)
    if client.networks.list(names=[f"^{NETWORK_NAME}$"]):
        return
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=SUBNET, gateway=ADDRESS)])
    try:
        client.networks.create(NETWORK_NAME, driver="bridge", ipam=ipam, check_duplicate=True)
    except docker.errors.APIError:
        if not client.networks.list(names=[f"^{NETWORK_NAME}$"]):  # another emulator has just made it
            raise


def remove_network_if_unused() -> None:
    """Removes the network, unless an emulator listens on its address, that is unknown, or no engine runs."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return
    if any(c.laddr and c.laddr.ip == ADDRESS and c.status == psutil.CONN_LISTEN for c in connections):
        return
    try:
        client = docker.from_env(timeout=30)
    except docker.errors.DockerException:  # `down` where nothing runs
        return
    for network in client.networks.list(names=[f"^{NETWORK_NAME}$"]):
        try:
            network.remove()
        except docker.errors.APIError as error:
            log.info("The network %s stays: %s", NETWORK_NAME, error.explanation)
