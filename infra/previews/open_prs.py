"""Which pull requests are open: as they are given, or as the command of GitHub or GitLab tells."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass

from infra.errors import SlipwayError
from infra.settings import ROOT


@dataclass(frozen=True)
class Cli:
    """A forge's command, asked for what is open."""

    ask: list[str]
    number: str
    """Under which key of each a number is."""
    most: int
    """How many it lists at once: with so many nobody knows whether there are more."""


CLIS = {
    "gh": Cli(["gh", "pr", "list", "--state", "open", "--limit", "1000", "--json", "number"], "number", 1000),
    "glab": Cli(["glab", "mr", "list", "--per-page", "100", "--output", "json"], "iid", 100),
}


def open_pull_requests(given: str | None) -> set[int] | None:
    """`1,2,3`, `none`, or `gh` or `glab` to ask; None where nothing is given: then nobody knows.

    Raises `SlipwayError` for anything else. An empty list is not taken for "none is open": it is what a command that
    has failed leaves in its place.
    """
    if given is None:
        return None
    if given in CLIS:
        return _asked(given, CLIS[given])
    if given == "none":
        return set()
    try:
        return {int(number) for number in given.split(",")}
    except ValueError:
        raise SlipwayError(
            f"--open-prs is {given!r}.", "Give the numbers, 1,2,3; `none` where none is open; or `gh`, or `glab`."
        ) from None


def _asked(name: str, cli: Cli) -> set[int]:
    if not shutil.which(name):
        raise SlipwayError(f"--open-prs {name}: it is not installed.", f"Install {name}, or give the numbers: 1,2,3")
    done = subprocess.run(cli.ask, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(f"`{' '.join(cli.ask)}` failed:\n{done.stderr.strip()}", f"{name} auth login")
    try:
        found = {int(each[cli.number]) for each in json.loads(done.stdout)}
    except (ValueError, KeyError, TypeError):
        raise SlipwayError(f"`{' '.join(cli.ask)}` did not answer with a list.", "Give the numbers: 1,2,3") from None
    if len(found) >= cli.most:
        raise SlipwayError(f"{cli.most} or more are open, and {name} lists no more.", "Give the numbers: 1,2,3")
    return found
