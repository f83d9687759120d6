"""Tools and environment variables of a command that works on the local environment."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from slipway.config.project import run_dir
from slipway_local import env_filter
from slipway_local.docker_engine import DockerEngine
from slipway_local.ownership import LOCAL_STACK, emulator_port, ensure_own_local_aws
from slipway_local.provider.plugin_launchers import install_plugins as install_provider
from slipway_local.toolchain import Toolchain, ensure_pulumi

__all__ = ["LOCAL_STACK", "Session", "backend_url", "emulator_port", "open_session", "state_dir"]

# The local stack's secrets open databases that exist on this machine's loopback only and go with `slipway down`.
# The passphrase has to fit the salt in stacks/Pulumi.local.yaml, the same for all users: it is not a secret.
PASSPHRASE = "local"  # noqa: S105


@dataclass(frozen=True)
class Session:
    """The variables that make plain `pulumi`, `aws` and boto3 work on the local environment."""

    toolchain: Toolchain
    variables: Mapping[str, str]
    removed_variables: Sequence[str] = ()
    """Variables of the shell that would have led elsewhere."""

    def environ(self) -> dict[str, str]:
        """Returns the environment of a process that works on the local stack: `env_filter` says what else is in it."""
        return env_filter.filter_environment(os.environ) | dict(self.variables)

    def exports(self) -> str:
        """Returns the variables for `eval` in a shell."""
        around = {key: value for key, value in self.environ().items() if key.upper() == "NO_PROXY"}
        lines = [f"export {key}={shlex.quote(value)}" for key, value in (around | dict(self.variables)).items()]
        gone = [name for name in self.removed_variables if name not in self.variables]
        return "\n".join([f"unset {name}" for name in gone] + lines)


def open_session(docker: DockerEngine | None = None, *, ignore_default_port: bool = False) -> Session:
    """Finds the toolchain, places the local provider where the engine looks for it, and names the variables.

    This process then has only those and the variables that `env_filter` allows, because it uses boto3 too.
    `ignore_default_port`: the command works without a local AWS, so another clone's on port 4566 does not matter.

    Raises `SlipwayError` where the port is another clone's, before anything is done there.
    """
    port = emulator_port()
    ensure_own_local_aws(port, ignore_default=ignore_default_port)
    toolchain = ensure_pulumi()
    home = run_dir() / "pulumi"
    home.mkdir(exist_ok=True)
    install_provider(home)
    for left in state_dir().rglob("*.attrs"):  # of a state from before `backend`: one may be what a kill has emptied
        left.unlink(missing_ok=True)
    path = [*map(str, toolchain.path_entries), str(Path(sys.executable).parent)]
    current = os.environ.get("PATH", "").split(os.pathsep)
    variables = {
        "PATH": os.pathsep.join([*path, *(entry for entry in current if entry not in path)]),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": backend_url(state_dir()),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        # A profile may name an endpoint of its own, or say that the one above is to be ignored.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SLIPWAY_RUN_DIR": str(run_dir()),
    }
    if docker:
        variables["SLIPWAY_DOCKER"] = str(docker.client)
    removed_variables = env_filter.find_conflicting_variables(os.environ)
    env_filter.apply_environment(variables)
    return Session(toolchain, variables, removed_variables)


def state_dir() -> Path:
    """Returns the folder of the local stack's state."""
    path = run_dir() / "state"
    path.mkdir(exist_ok=True, mode=0o700)
    return path


def backend_url(folder: Path) -> str:
    """Returns the URL of a backend in `folder`; the engine parses it as a URL, so a space has to be escaped.

    Without metadata, which the engine's file store writes into a second file in place: killed meanwhile, it left an
    empty one, and no stack of the folder could be listed any more.
    """
    return f"file://{quote(str(folder))}?metadata=skip"
