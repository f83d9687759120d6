"""The emulator's own chain of packet filter rules: added when it starts, and removed with it.

A killed emulator's chain stays: its rules would drop connections of later containers that get the same addresses. So
each chain has a file that its process holds a lock on, and who adds a chain removes those whose lock is free.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

HOOKS = ("DOCKER-USER", "INPUT")
"""Chains that lead into it: Docker's own for packets between containers, and that of packets to this machine."""
PREFIX = "SLIPWAY-"
LOCKS = Path("/run/slipway")
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


_held: dict[int, int] = {}
"""Port -> the open lock of a chain of this process."""


def find_obstacle(bridge_address: str) -> str:
    """Returns why the packets of containers cannot be filtered on this machine; empty where they can."""
    if not shutil.which("iptables-restore"):
        return "this machine has no iptables"
    if os.geteuid() != 0:
        return "it takes root"
    addresses = {address.address for interface in psutil.net_if_addrs().values() for address in interface}
    if bridge_address not in addresses:
        return "the Docker engine is not on this machine"
    if not BRIDGE_FILTER.exists() or BRIDGE_FILTER.read_text().strip() != "1":
        return "the packet filter does not see the packets of Docker's bridge (bridge-nf-call-iptables)"
    if not _succeeds("-n", "-L", "DOCKER-USER"):
        return "Docker has no chain DOCKER-USER here"
    return ""


def chain_name(port: int) -> str:
    """Returns the name of the chain of the emulator that serves on a port."""
    return f"{PREFIX}{port}"


def add_chain(port: int) -> None:
    """Creates an empty chain, and lets packets into it; removes the chains of processes that were killed.

    Raises `subprocess.CalledProcessError` where that fails.
    """
    if port not in _held:
        _held[port] = _open_lock(port)
        fcntl.flock(_held[port], fcntl.LOCK_EX)
    for other in _list_chains() - {port}:
        _remove_if_abandoned(other)
    replace_rules(port, [])
    for hook in HOOKS:
        if not _succeeds("-C", hook, "-j", chain_name(port)):
            subprocess.run(["iptables", "--wait", "-I", hook, "-j", chain_name(port)], check=True, capture_output=True)


def replace_rules(port: int, rules: Sequence[str]) -> None:
    """Replaces all rules of the chain at once. Raises `subprocess.CalledProcessError` where that fails."""
    chain = chain_name(port)
    lines = ["*filter", f":{chain} - [0:0]", *(f"-A {chain} {rule}" for rule in rules), "COMMIT", ""]
    command = ["iptables-restore", "--noflush", "--wait"]
    subprocess.run(command, input="\n".join(lines), text=True, check=True, capture_output=True)


def remove_chain(port: int) -> None:
    """Removes the chain and the rules that jump to it; ignores a missing chain or permission."""
    if not shutil.which("iptables") or os.geteuid() != 0:
        return
    for hook in HOOKS:
        while _succeeds("-D", hook, "-j", chain_name(port)):
            pass
    if _succeeds("-F", chain_name(port)):
        _succeeds("-X", chain_name(port))
    if port in _held:
        os.close(_held.pop(port))


def _open_lock(port: int) -> int:
    LOCKS.mkdir(mode=0o755, exist_ok=True)
    return os.open(LOCKS / f"firewall-{port}.lock", os.O_RDWR | os.O_CREAT, 0o600)


def _list_chains() -> set[int]:
    """Returns the ports whose emulators have, or had, a chain."""
    rules = subprocess.run(["iptables", "--wait", "-S"], capture_output=True, text=True, check=True).stdout
    return {int(port) for port in re.findall(rf"^-N {PREFIX}(\d+)$", rules, re.MULTILINE)}


def _remove_if_abandoned(port: int) -> None:
    lock = _open_lock(port)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_chain(port)
    except BlockingIOError:  # its process lives
        pass
    finally:
        os.close(lock)


def _succeeds(*arguments: str) -> bool:
    return subprocess.run(["iptables", "--wait", *arguments], capture_output=True).returncode == 0
