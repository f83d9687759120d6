"""The AWS on this machine as the kit's core sees it: an optional package that an entry point offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from slipway.config.errors import SlipwayError

if TYPE_CHECKING:
    import typer

ENTRY_POINT_GROUP = "slipway.local_aws"
LOCAL_ACCOUNT = "000000000000"
"""Account of the local AWS; no real account has this number."""
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
INSTALL_COMMAND = "uv add 'slipway-kit[local]' (or pip install 'slipway-kit[local]')"


class PulumiProcess(NamedTuple):
    """How the Pulumi engine is started for stacks of this machine."""

    binary: str
    environment: Mapping[str, str]


class LocalAws(Protocol):
    """What `slipway-kit[local]` provides."""

    stack: str
    """The name of this machine's stack."""
    log_files: Sequence[str]
    """Names of its own logs, for `slipway logs NAME`."""

    def add_commands(self, app: typer.Typer) -> None:
        """Adds up, status, doctor, clean and env to the `slipway` command."""

    def down(self) -> None:
        """Destroys this machine's stack and stops everything that ran for it."""

    def is_running(self) -> bool:
        """Whether the local AWS of this project runs and answers."""

    def has_stack(self, stack: str = ...) -> bool:
        """Whether a stack, by default this machine's, has a state here."""

    def enter(self) -> PulumiProcess:
        """Point this process, and the engine that it starts, at the local AWS and at nothing else."""

    def enter_with_docker(self) -> PulumiProcess:
        """The same with a running Docker engine, for what builds images."""

    def recover_stack(self, stack: str, folder: Path) -> None:
        """Release what a killed engine left of a stack whose project is in `folder`."""

    def exec_command(self, stream_url: str, command: Sequence[str], *, terminal: bool) -> Sequence[str]:
        """Return the program that runs a command in the container of a session of ExecuteCommand."""

    def forward_command(self, stream_url: str, local_port: int) -> Sequence[str]:
        """Return the program that forwards `local_port` of loopback to the address of a session of StartSession."""

    def print_log_file(self, name: str, *, lines: int, follow: bool) -> None:
        """Prints one of `log_files`."""

    def read_failure_logs(self, lines: int) -> list[str]:
        """The last log lines of what failed in this machine's stack; empty when it serves."""

    def read_used_actions(self, role_arn: str) -> Sequence[tuple[str, str]]:
        """Actions that a role was allowed since the local AWS was started by `make up`, each with its resource."""

    def write_dashboards(self, file: Path, minutes: int) -> Mapping[str, Any]:
        """Writes all Grafana panels as one HTML page. Returns its queries and what was empty or failed."""


@cache
def find_local_aws() -> LocalAws | None:
    """The local AWS; None where the extra is not installed."""
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            local_aws: LocalAws = entry_point.load()()
        except ImportError:  # the packages of the extra are missing
            continue
        return local_aws
    return None


def require_local_aws(purpose: str) -> LocalAws:
    """The local AWS. Raises `SlipwayError` with the command that installs it; `purpose` is what needs it."""
    local_aws = find_local_aws()
    if local_aws is None:
        raise SlipwayError(f"{purpose} needs the AWS on this machine, which is not installed.", INSTALL_COMMAND)
    return local_aws


def is_local_host(host: str) -> bool:
    """Returns whether a host is this machine, where the local AWS answers."""
    return host in LOOPBACK_HOSTS or host.endswith(".localhost")


def is_local_stack(stack: str) -> bool:
    """Whether a stack is this machine's."""
    local_aws = find_local_aws()
    return local_aws is not None and stack == local_aws.stack
