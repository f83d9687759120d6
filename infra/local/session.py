"""What a command needs to talk to the local environment: the tools' paths and the environment variables."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from infra.local import shell
from infra.local.docker_engine import DockerEngine
from infra.local.emulator import process as emulator
from infra.local.paths import run_dir
from infra.local.provider.install import install as install_provider
from infra.local.toolchain import Toolchain, ensure_pulumi

STACK = "local"
DEFAULT_PORT = 4566

# The local stack's secrets open databases that exist on this machine's loopback only and go with `make down`.
# The passphrase has to fit the salt in stacks/Pulumi.local.yaml, the same for everybody: it is no secret.
PASSPHRASE = "local"  # noqa: S105


def emulator_port() -> int:
    """The port of the local AWS: SLIPWAY_PORT, else that of the one that runs for this clone, else 4566."""
    asked, recorded = os.environ.get("SLIPWAY_PORT"), emulator.recorded()
    return int(asked) if asked else recorded.port if recorded else DEFAULT_PORT


@dataclass(frozen=True)
class Session:
    """The variables that make plain `pulumi`, `aws` and boto3 work on the local environment."""

    toolchain: Toolchain
    variables: Mapping[str, str]
    left_out: Sequence[str] = ()
    """Variables of the shell that would have led elsewhere."""

    def environ(self) -> dict[str, str]:
        """The environment of a process that works on the local stack: `shell.py` says what else is in it."""
        return shell.let_in(os.environ) | dict(self.variables)

    def exports(self) -> str:
        """The variables for `eval` in a shell."""
        around = {key: value for key, value in self.environ().items() if key.upper() == "NO_PROXY"}
        lines = [f"export {key}={shlex.quote(value)}" for key, value in (around | dict(self.variables)).items()]
        gone = [name for name in self.left_out if name not in self.variables]
        return "\n".join([f"unset {name}" for name in gone] + lines)


def open_session(docker: DockerEngine | None = None) -> Session:
    """Find the toolchain, place the local provider where the engine looks for it, and name the variables.

    This process itself has only those from then on, and what `shell.py` lets in: boto3 is used here as well.
    """
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
        "PULUMI_BACKEND_URL": backend(state_dir()),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{emulator_port()}",
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
    left_out = shell.leading_elsewhere(os.environ)
    shell.enter(variables)
    return Session(toolchain, variables, left_out)


def state_dir() -> Path:
    """Where the engine keeps the local stack's state."""
    path = run_dir() / "state"
    path.mkdir(exist_ok=True, mode=0o700)
    return path


def backend(folder: Path) -> str:
    """The URL of a backend in `folder`; the engine parses it as a URL, so a space has to be escaped.

    Without metadata, which the engine's file store writes into a second file in place: killed meanwhile, it left an
    empty one, and no stack of the folder could be listed any more.
    """
    return f"file://{quote(str(folder))}?metadata=skip"
