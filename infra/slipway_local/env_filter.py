"""Filters the shell's environment for the local environment: an allowlist, never a list of what is
taken out. Whatever else a shell has (keys and profiles of a real account, another backend's token, an endpoint, a proxy
in front of this very machine) stays outside, also what no one has thought of yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

SESSION_VARIABLES = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "CI", "LANG", "LANGUAGE"}
TERMINAL_VARIABLES = {"TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
CA_VARIABLES = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
"""CA bundles for downloads of packages."""
GO_VARIABLE_SUFFIXES = (
    "ROOT",
    "PATH",
    "CACHE",
    "MODCACHE",
    "TMPDIR",
    "FLAGS",
    "TOOLCHAIN",
    "MAXPROCS",
    "PROXY",
    "NOPROXY",
    "PRIVATE",
)
BUILD_VARIABLES = {
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CC",
    "CXX",
    "GOSUMDB",
    "GONOSUMDB",
    *(f"GO{name}" for name in GO_VARIABLE_SUFFIXES),
}
ALLOWED_NAMES = SESSION_VARIABLES | TERMINAL_VARIABLES | CA_VARIABLES | BUILD_VARIABLES
ALLOWED_PREFIXES = ("LC_", "XDG_", "SLIPWAY_", "PYTHON", "PIP_", "UV_", "DOCKER_", "BUILDKIT_", "BUILDX_", "CGO_")
PROXY_VARIABLES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
"""In capital and small letters: image builds and downloads may need one."""

CONFLICTING_PREFIXES = ("AWS_", "PULUMI_")
"""What `eval "$(slipway env)"` takes out of a shell: the variables of the tools that it is meant for."""

NO_PROXY_HOSTS = ("127.0.0.1", "::1", "localhost", ".localhost", "host.docker.internal")
"""What no proxy may come between: names and addresses that mean this machine."""


def filter_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables that the local environment's processes get; proxies go around this machine."""
    kept = {name: value for name, value in environment.items() if _is_allowed(name)}
    around = kept.get("NO_PROXY") or kept.get("no_proxy") or ""
    if around != "*":
        around = ",".join(dict.fromkeys([*filter(None, around.split(",")), *NO_PROXY_HOSTS]))
    return kept | {"NO_PROXY": around, "no_proxy": around}


def filter_environment_without_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the filtered environment without proxies, for a process that talks to this machine only."""
    return {
        name: value for name, value in filter_environment(environment).items() if name.upper() not in PROXY_VARIABLES
    }


def apply_environment(variables: Mapping[str, str]) -> None:
    """Reduces this process's environment to the allowed variables, and `variables`."""
    kept = filter_environment(os.environ) | dict(variables)
    for name in set(os.environ) - set(kept):
        del os.environ[name]
    os.environ.update(kept)


def find_conflicting_variables(environment: Iterable[str]) -> list[str]:
    """Variables that would lead `pulumi`, `aws` or boto3 away from here."""
    return sorted(name for name in environment if name.startswith(CONFLICTING_PREFIXES))


def _is_allowed(name: str) -> bool:
    return name in ALLOWED_NAMES or name.startswith(ALLOWED_PREFIXES) or name.upper() in PROXY_VARIABLES
