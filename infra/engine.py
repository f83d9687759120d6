"""Asking the Pulumi engine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.errors import SlipwayError


def answer(
    arguments: Sequence[str],
    folder: Path,
    *,
    binary: str | Path = "pulumi",
    environment: Mapping[str, str] | None = None,
    typed: str | None = None,
) -> str:
    """What a command of it prints on standard output, run in `folder`; its words as a `SlipwayError` when it fails.

    `environment`: instead of this process's own; `typed`: for its standard input, where a secret is seen by nobody.
    """
    try:
        done = subprocess.run(
            [binary, *arguments], cwd=folder, env=environment, input=typed, capture_output=True, text=True
        )
    except FileNotFoundError:
        fix = 'Install it, or for this machine\'s own stack: eval "$(.venv/bin/slipway env)"'
        raise SlipwayError(f"There is no `{binary}` here.", fix) from None
    if done.returncode:
        raise SlipwayError(f"`pulumi {' '.join(arguments)}` failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout
