"""Formats the comment on a pull request about its preview: URL, cost, duration, and changes of the resource trees."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root

GRAPH_FILES = "docs/graphs/*.txt"
"""The committed resource tree of each stack; a test compares it with the program, so its diff shows real changes."""
PREVIEW_KEYS = ("name", "url", "image", "expires", "resources", "usd_a_day", "seconds")
MAX_DIFF_LINES = 300
"""Lines of the diff: a comment may have 65,536 characters."""


def comment_marker(name: str) -> str:
    """Returns the invisible HTML comment at the start of a preview's comment."""
    return f"<!-- slipway: preview {name} -->"


def read_preview(file: Path) -> Mapping[str, Any]:
    """Returns the output of `slipway preview create --json`. Raises `SlipwayError` if the file has another content."""
    try:
        preview: Mapping[str, Any] = json.loads(file.read_text())
        return {key: preview[key] for key in PREVIEW_KEYS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SlipwayError(
            f"{file} does not describe a preview: {error}.", "slipway preview create NAME --base STACK --json > FILE"
        ) from None


def format_created(preview: Mapping[str, Any], changes: str) -> str:
    """Returns the text for a running preview, in Markdown.

    `preview`: as `read_preview` returns it; `changes`: a diff of the resource trees.
    """
    rows = {
        "Address": preview["url"],
        "Image": f"`{preview['image'][:19]}`",
        "Costs": f"{preview['usd_a_day']:.2f} USD a day, for {preview['resources']} resources",
        "Until": f"{preview['expires']}, unless a push extends it",
        "Serving after": f"{preview['seconds']:.0f} s",
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in rows.items())
    return f"### Preview `{preview['name']}`\n\n| | |\n|---|---|\n{table}\n\n{_format_tree_diff(changes)}"


def format_destroyed(name: str) -> str:
    """Returns the text for a preview that was destroyed."""
    return f"### Preview `{name}`\n\nIt was destroyed, with its database."


def format_failed(name: str, run: str) -> str:
    """Returns the text for a preview whose update failed. `run`: the URL of the log."""
    return f"### Preview `{name}`\n\nThe deployment of this push failed: {run or 'see the log'}"


def diff_resource_trees(since: str) -> str:
    """Returns the lines of the committed resource trees that differ from the commit `since`.

    Raises `SlipwayError` if git does not have that commit.
    """
    command = ["git", "diff", "--unified=0", "--no-color", f"{since}...HEAD", "--", GRAPH_FILES]
    result = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    if result.returncode:
        raise SlipwayError(
            f"git cannot compare with {since}: {result.stderr.strip()}", "Check out the whole history: fetch-depth: 0"
        )
    return result.stdout


def _format_tree_diff(changes: str) -> str:
    kept = [line for line in changes.splitlines() if line[:1] in "+-" and line[:3] != "---"]
    lines = [line.replace("+++ b/docs/graphs/", "# ") if line.startswith("+++") else line for line in kept]
    count = sum(1 for line in lines if line[:1] in "+-")
    if not count:
        return "The environments' resources do not change."
    more = [f"# and {len(lines) - MAX_DIFF_LINES} more lines"] if len(lines) > MAX_DIFF_LINES else []
    shown = "\n".join([*lines[:MAX_DIFF_LINES], *more])
    head = f"<summary>The environments' resources change: {count} lines</summary>"
    return f"<details>{head}\n\n```diff\n{shown}\n```\n</details>"
