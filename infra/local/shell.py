"""What of the shell that started a command reaches the local environment: a list of what is let in, never of what is
taken out. Whatever else a shell has (keys and profiles of a real account, another backend's token, an endpoint, a proxy
in front of this very machine) stays outside, also what no one has thought of yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

WHERE_ONE_IS = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "CI", "LANG", "LANGUAGE"}
TERMINAL = {"TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
TRUST = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
"""Whom this machine trusts where packages come from."""
GO = ("ROOT", "PATH", "CACHE", "MODCACHE", "TMPDIR", "FLAGS", "TOOLCHAIN", "MAXPROCS", "PROXY", "NOPROXY", "PRIVATE")
BUILDING = {"LD_LIBRARY_PATH", "VIRTUAL_ENV", "CC", "CXX", "GOSUMDB", "GONOSUMDB", *(f"GO{name}" for name in GO)}
NAMES = WHERE_ONE_IS | TERMINAL | TRUST | BUILDING
PREFIXES = ("LC_", "XDG_", "SLIPWAY_", "PYTHON", "PIP_", "UV_", "DOCKER_", "BUILDKIT_", "BUILDX_", "CGO_")
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
"""In capital and small letters: image builds and downloads may need one."""

LEADING_ELSEWHERE = ("AWS_", "PULUMI_")
"""What `eval "$(slipway env)"` takes out of a shell: the variables of the tools that it is meant for."""

LOOPBACK = ("127.0.0.1", "::1", "localhost", ".localhost", "host.docker.internal")
"""What no proxy may come between: names and addresses that mean this machine."""


def let_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that the local environment's processes get; its proxies go around this machine."""
    kept = {name: value for name, value in environment.items() if _wanted(name)}
    around = kept.get("NO_PROXY") or kept.get("no_proxy") or ""
    if around != "*":
        around = ",".join(dict.fromkeys([*filter(None, around.split(",")), *LOOPBACK]))
    return kept | {"NO_PROXY": around, "no_proxy": around}


def without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The same for a process that talks to this machine only: it has no use for any."""
    return {name: value for name, value in let_in(environment).items() if name.upper() not in PROXIES}


def enter(variables: Mapping[str, str]) -> None:
    """From here on this process too has only what is let in, and `variables`."""
    kept = let_in(os.environ) | dict(variables)
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    os.environ.update(kept)


def leading_elsewhere(environment: Iterable[str]) -> list[str]:
    """Variables that would lead `pulumi`, `aws` or boto3 away from here."""
    return sorted(name for name in environment if name.startswith(LEADING_ELSEWHERE))


def _wanted(name: str) -> bool:
    return name in NAMES or name.startswith(PREFIXES) or name.upper() in PROXIES
