"""Runs the Pulumi CLI."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root

COLOR_TAG = re.compile(r"<\{%.*?%\}>")
"""How the engine marks colours in the messages of its JSON."""
ACCESS_DENIED = re.compile(r"AccessDenied|is not authorized to perform|StatusCode: 403")
ACCESS_DENIED_FIX = (
    "Use the role of this stack and no other: slipway pipeline check compares each job's role with what it needs, and "
    "slipway rights STACK ROLE lists what a role may do."
)
"""For state in S3 and its KMS key, which a role may use of its own stack alone."""
FAILED_FIX = "Correct what it says. The user and the state that Pulumi uses: pulumi whoami --verbose"


def run_pulumi(
    arguments: Sequence[str],
    folder: Path | None = None,
    *,
    binary: str | Path = "pulumi",
    environment: Mapping[str, str] | None = None,
    typed: str | None = None,
) -> str:
    """Runs a pulumi command in `folder`, by default the project's, and returns its standard output.

    `environment`: replaces this process's own; `typed`: the command's standard input, for secrets.
    Raises `SlipwayError` with the command's error output if it fails.
    """
    try:
        result = subprocess.run(
            [binary, *arguments],
            cwd=folder or project_root(),
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise _no_binary(binary) from None
    if result.returncode:
        reason = read_json_errors(result.stdout) or (result.stderr or result.stdout).strip()
        fix = ACCESS_DENIED_FIX if ACCESS_DENIED.search(reason) else FAILED_FIX
        raise SlipwayError(f"`pulumi {' '.join(arguments)}` failed:\n{reason}", fix)
    return result.stdout


def read_json_errors(output: str) -> str:
    """Returns the errors in the output of `pulumi preview --json`, which prints none on standard error; else ""."""
    try:
        diagnostics = json.loads(output)["diagnostics"]
        errors = [entry["message"] for entry in diagnostics if entry["severity"] == "error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return "\n".join(COLOR_TAG.sub("", error).strip() for error in errors)


def run_pulumi_attached(
    arguments: Sequence[str],
    folder: Path,
    *,
    binary: str | Path = "pulumi",
    environment: Mapping[str, str] | None = None,
    output: IO[str] | int | None = None,
) -> int:
    """Runs an interactive pulumi command, such as `up`; returns its exit code.

    `output`: for its standard output and error; by default this process's own. Raises `SlipwayError` if the binary is
    missing.
    """
    try:
        return subprocess.run(
            [binary, *arguments], cwd=folder, env=environment, stdout=output, stderr=output
        ).returncode
    except FileNotFoundError:
        raise _no_binary(binary) from None


def _no_binary(binary: str | Path) -> SlipwayError:
    fix = 'https://www.pulumi.com/docs/install/; or for the local stack: eval "$(slipway env)"'
    return SlipwayError(f"`{binary}` is not installed.", fix)
