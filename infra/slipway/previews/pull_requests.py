"""Lists open pull requests: from their numbers, or with the CLI of GitHub or GitLab."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root


@dataclass(frozen=True)
class ForgeCli:
    """The CLI command of a forge that lists open pull requests."""

    ask: list[str]
    number: str
    """Key of the number in each entry of its output."""
    most: int
    """Maximum of its list: at this number there may be more."""


FORGE_CLIS = {
    "gh": ForgeCli(["gh", "pr", "list", "--state", "open", "--limit", "1000", "--json", "number"], "number", 1000),
    "glab": ForgeCli(["glab", "mr", "list", "--per-page", "100", "--output", "json"], "iid", 100),
}


def list_open_pull_requests(text: str | None) -> set[int] | None:
    """Returns the numbers of `1,2,3` or `none`, or those from the CLI `gh` or `glab`; None (unknown) without a text.

    Raises `SlipwayError` for anything else. An empty text is an error: it may come from a failed command.
    """
    if text is None:
        return None
    if text in FORGE_CLIS:
        return _query_forge(text, FORGE_CLIS[text])
    if text == "none":
        return set()
    try:
        return {int(number) for number in text.split(",")}
    except ValueError:
        raise SlipwayError(
            f"--open-prs is {text!r}, which is no list of numbers.",
            "Give the numbers, 1,2,3; `none` if none is open; or `gh`, or `glab`.",
        ) from None


def _query_forge(name: str, cli: ForgeCli) -> set[int]:
    if not shutil.which(name):
        raise SlipwayError(
            f"--open-prs {name}: the program {name} is not installed.", f"Install {name}, or give the numbers: 1,2,3"
        )
    result = subprocess.run(cli.ask, cwd=project_root(), capture_output=True, text=True)
    if result.returncode:
        raise SlipwayError(
            f"`{' '.join(cli.ask)}` failed, so the open ones are unknown:\n{result.stderr.strip()}",
            f"{name} auth login",
        )
    try:
        numbers = {int(entry[cli.number]) for entry in json.loads(result.stdout)}
    except (ValueError, KeyError, TypeError):
        raise SlipwayError(f"`{' '.join(cli.ask)}` did not print a list.", "Give the numbers: 1,2,3") from None
    if len(numbers) >= cli.most:
        raise SlipwayError(
            f"{cli.most} or more pull requests are open, and {name} lists no more.", "Give the numbers: 1,2,3"
        )
    return numbers
