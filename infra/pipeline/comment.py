"""What a pull request is told of its preview: one comment, with address, cost, seconds, and what would be made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.errors import SlipwayError
from infra.settings import ROOT

GRAPHS = "docs/graphs/*.txt"
"""What each stack is made of, line by line: tests hold it to the program, so its difference is the resource tree's."""
PREVIEW = ("name", "url", "image", "expires", "resources", "usd_a_day", "seconds")
LONGEST_DIFF = 300
"""Lines; a comment may have 65,536 characters."""


def mark(name: str) -> str:
    """What the comment about a preview begins with; nobody sees it."""
    return f"<!-- slipway: preview {name} -->"


def read(file: Path) -> Mapping[str, Any]:
    """What `slipway preview create --json` wrote. Raises `SlipwayError` where the file has nothing of it."""
    try:
        found: Mapping[str, Any] = json.loads(file.read_text())
        return {key: found[key] for key in PREVIEW}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SlipwayError(
            f"{file} does not describe a preview: {error}.", "slipway preview create NAME --base STACK --json > FILE"
        ) from None


def up(preview: Mapping[str, Any], changes: str) -> str:
    """Of a preview that serves, in Markdown. `preview`: as `read` has it; `changes`: a diff of the resource trees."""
    rows = {
        "Address": preview["url"],
        "Image": f"`{preview['image'][:19]}`",
        "Costs": f"{preview['usd_a_day']:.2f} USD a day, for {preview['resources']} resources",
        "Until": f"{preview['expires']}, if nothing is pushed before",
        "Serving after": f"{preview['seconds']:.0f} s",
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in rows.items())
    return f"### Preview `{preview['name']}`\n\n| | |\n|---|---|\n{table}\n\n{_tree(changes)}"


def gone(name: str) -> str:
    """Of a preview that was destroyed."""
    return f"### Preview `{name}`\n\nIt is destroyed, with its database."


def failed(name: str, run: str) -> str:
    """Of a preview that does not serve what was pushed. `run`: the address of the log."""
    return f"### Preview `{name}`\n\nIt does not serve this push: {run or 'see the log'} says why."


def tree_changes(since: str) -> str:
    """The lines of the committed resource trees that differ from the commit `since`.

    Raises `SlipwayError` where git does not have that commit.
    """
    asked = ["git", "diff", "--unified=0", "--no-color", f"{since}...HEAD", "--", GRAPHS]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(
            f"git cannot compare with {since}: {done.stderr.strip()}", "Check out the whole history: fetch-depth: 0"
        )
    return done.stdout


def _tree(changes: str) -> str:
    kept = [line for line in changes.splitlines() if line[:1] in "+-" and line[:3] != "---"]
    lines = [line.replace("+++ b/docs/graphs/", "# ") if line.startswith("+++") else line for line in kept]
    count = sum(1 for line in lines if line[:1] in "+-")
    if not count:
        return "The environments' resources stay as they are."
    more = [f"# and {len(lines) - LONGEST_DIFF} more lines"] if len(lines) > LONGEST_DIFF else []
    shown = "\n".join([*lines[:LONGEST_DIFF], *more])
    head = f"<summary>The environments' resources change: {count} lines</summary>"
    return f"<details>{head}\n\n```diff\n{shown}\n```\n</details>"
