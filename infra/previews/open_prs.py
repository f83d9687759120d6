"""Which pull requests are open: as they are given, or as the GitHub CLI tells."""

from __future__ import annotations

import json
import shutil
import subprocess

from infra.errors import SlipwayError
from infra.settings import ROOT

ASK = ["gh", "pr", "list", "--state", "open", "--limit", "1000", "--json", "number"]


def open_pull_requests(given: str | None) -> set[int] | None:
    """`1,2,3`, `none`, or `gh` to ask; None where nothing is given: then nobody knows.

    Raises `SlipwayError` for anything else. An empty list is not taken for "none is open": it is what a command that
    has failed leaves in its place.
    """
    if given is None:
        return None
    if given == "gh":
        return _asked()
    if given == "none":
        return set()
    try:
        return {int(number) for number in given.split(",")}
    except ValueError:
        raise SlipwayError(
            f"--open-prs is {given!r}.", "Give the numbers, 1,2,3; `none` where none is open; or `gh`."
        ) from None


def _asked() -> set[int]:
    if not shutil.which("gh"):
        raise SlipwayError("--open-prs gh: the GitHub CLI is not installed.", "Install gh, or give the numbers: 1,2,3")
    done = subprocess.run(ASK, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(f"`{' '.join(ASK)}` failed:\n{done.stderr.strip()}", "gh auth login")
    return {int(each["number"]) for each in json.loads(done.stdout)}
