"""The program that speaks a Systems Manager session: AWS's session-manager-plugin, or the local AWS's own client.

How the plugin is called is what the AWS CLI does (awscli/customizations/sessionmanager.py and ecs/executecommand.py).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.config.local_aws import LOCAL_ACCOUNT, require_local_aws
from slipway.release.deployed_stack import DeployedStack

PLUGIN = "session-manager-plugin"
RESPONSE_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
"""From version 1.2.498 on the plugin reads the session's token from a variable, which no process list shows."""
LAST_VERSION_WITHOUT_VARIABLE = (1, 2, 497, 0)
INSTALL_PAGE = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
)


@dataclass(frozen=True)
class SessionClient:
    """A program to start, with its environment."""

    command: Sequence[str]
    environment: Mapping[str, str]
    passes_exit_code: bool
    """Whether it ends with the exit code of what it ran. AWS's plugin always ends with 0."""


def is_on_this_machine(stack: DeployedStack) -> bool:
    """Returns whether a stack is in the AWS on this machine."""
    return stack.cluster.split(":")[4] == LOCAL_ACCOUNT


def require_session_client(stack: DeployedStack) -> None:
    """Raises `SlipwayError` with the command that installs AWS's plugin, where a stack needs it and it is missing."""
    if is_on_this_machine(stack):
        require_local_aws("A session on this machine")
    elif not shutil.which(PLUGIN):
        raise SlipwayError(f"There is no {PLUGIN} here, which AWS's sessions need.", _install_command())


def exec_client(
    stack: DeployedStack, session: Mapping[str, str], ssm_target: str, command: Sequence[str], *, terminal: bool
) -> SessionClient:
    """Returns the client of a session of ExecuteCommand. `terminal`: a person types into it."""
    if is_on_this_machine(stack):
        local = require_local_aws("A session on this machine").exec_command(
            session["streamUrl"], command, terminal=terminal
        )
        return SessionClient(local, os.environ, passes_exit_code=True)
    response = {
        "SessionId": session["sessionId"],
        "TokenValue": session["tokenValue"],
        "StreamUrl": session["streamUrl"],
    }
    return _plugin_client(stack, response, {"Target": ssm_target})


def forward_client(
    stack: DeployedStack, session: Mapping[str, str], parameters: Mapping[str, Any], local_port: int
) -> SessionClient:
    """Returns the client of a session of StartSession that forwards a port; `parameters`: of that call."""
    if is_on_this_machine(stack):
        local = require_local_aws("A session on this machine").forward_command(session["StreamUrl"], local_port)
        return SessionClient(local, os.environ, passes_exit_code=True)
    response = {key: session[key] for key in ("SessionId", "TokenValue", "StreamUrl")}
    return _plugin_client(stack, response, parameters)


def _plugin_client(stack: DeployedStack, response: Mapping[str, str], parameters: Mapping[str, Any]) -> SessionClient:
    text = json.dumps(response)
    environment = dict(os.environ) | _credentials(stack)
    if _plugin_version() > LAST_VERSION_WITHOUT_VARIABLE:
        environment[RESPONSE_VARIABLE] = text
        text = RESPONSE_VARIABLE
    endpoint = str(stack.aws.client("ssm").meta.endpoint_url)
    region = str(stack.aws.session.region_name)
    command = [PLUGIN, text, region, "StartSession", "", json.dumps(parameters), endpoint]
    return SessionClient(command, environment, passes_exit_code=False)


def _credentials(stack: DeployedStack) -> dict[str, str]:
    """Returns the stack's own credentials: the plugin resumes a session by them after a pause of the network."""
    frozen = stack.aws.session.get_credentials().get_frozen_credentials()
    token = {"AWS_SESSION_TOKEN": frozen.token} if frozen.token else {}
    return {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key, **token}


def _plugin_version() -> tuple[int, ...]:
    """Returns the plugin's version; 0 where it prints none."""
    done = subprocess.run([PLUGIN, "--version"], capture_output=True, text=True)
    parts = done.stdout.strip().split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)


def _install_command() -> str:
    if sys.platform == "darwin":
        return "brew install --cask session-manager-plugin"
    if shutil.which("dpkg"):
        machine = "arm64" if os.uname().machine == "aarch64" else "64bit"
        url = f"https://s3.amazonaws.com/session-manager-downloads/plugin/latest/ubuntu_{machine}/{PLUGIN}.deb"
        return f"curl -fsSLo /tmp/{PLUGIN}.deb {url} && sudo dpkg -i /tmp/{PLUGIN}.deb"
    return f"Install it: {INSTALL_PAGE}"
