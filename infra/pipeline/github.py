"""What the pipeline tells on GitHub, by its own command `gh`: one comment, or one issue, that is kept up to date."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from infra.errors import SlipwayError
from infra.settings import ROOT

COMMENTS = "repos/{owner}/{repo}/issues/{number}/comments"
"""`gh` puts the repository's names in: of GH_REPO, else of the folder's remote."""
ISSUES = "repos/{owner}/{repo}/issues"
NUMBERED_SINCE = "2026-07-15"
"""From then on the tokens of new and of renamed repositories name owner and repository by number too."""


def keep_comment(number: int, mark: str, text: str) -> None:
    """Write the comment of a pull request that begins with `mark`: the one that is there, else a new one."""
    path = COMMENTS.replace("{number}", str(number))
    body = {"body": f"{mark}\n{text}"}
    # Anybody can write the mark, so only a workflow's own comment is ours.
    ours = [each for each in _all(path) if each["body"].startswith(mark) and each["user"]["type"] == "Bot"]
    if ours:
        _send("PATCH", f"{ISSUES}/comments/{ours[0]['id']}", body)
    else:
        _send("POST", path, body)


def keep_issue(title: str, text: str) -> None:
    """Write the open issue of this title: the one that is there, else a new one."""
    number = _issue(title)
    if number:
        _send("PATCH", f"{ISSUES}/{number}", {"body": text})
    else:
        _send("POST", ISSUES, {"title": title, "body": text})


def close_issue(title: str) -> None:
    """Close the open issue of this title, where there is one."""
    number = _issue(title)
    if number:
        _send("PATCH", f"{ISSUES}/{number}", {"state": "closed"})


@dataclass(frozen=True)
class Subject:
    """What GitHub's OIDC tokens call a repository."""

    plain: str
    """`owner/name`."""
    numbered: str
    """`owner@ID/name@ID`: a name that is given up can be taken by somebody else, its number cannot."""
    new: bool
    """Whether it was made since tokens have the numbers; one that was renamed since then has them too."""

    @property
    def likely(self) -> str:
        """The one to configure."""
        return self.numbered if self.new else self.plain


def look_up(repository: str) -> Subject:
    """Ask GitHub for the numbers of `owner/name`. Raises `SlipwayError` where it knows no such repository."""
    about = json.loads(_gh(["api", f"repos/{repository}"]))
    owner, name = about["owner"]["login"], about["name"]
    numbered = f"{owner}@{about['owner']['id']}/{name}@{about['id']}"
    return Subject(f"{owner}/{name}", numbered, str(about["created_at"]) >= NUMBERED_SINCE)


def origin() -> str:
    """`owner/name` of the folder's remote `origin`, where it is on GitHub; else empty."""
    asked = ["git", "config", "--get", "remote.origin.url"]
    url = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    found = re.match(r"(?:https://|ssh://git@|git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", url)
    return found[1] if found else ""


def run(*arguments: str) -> str:
    """What `gh` with these arguments prints. Raises `SlipwayError` with its words."""
    return _gh(list(arguments)).strip()


def _issue(title: str) -> int:
    found = [each for each in _all(f"{ISSUES}?state=open") if each["title"] == title and each["user"]["type"] == "Bot"]
    return int(found[0]["number"]) if found else 0


def _all(path: str) -> list[Any]:
    pages = json.loads(_gh(["api", path, "--paginate", "--slurp"]))
    return [each for page in pages for each in page]


def _send(method: str, path: str, body: dict[str, Any]) -> None:
    _gh(["api", "--method", method, path, "--input", "-"], json.dumps(body))


def _gh(arguments: list[str], given: str = "") -> str:
    if not shutil.which("gh"):
        raise SlipwayError("GitHub's command gh is not installed.", "https://cli.github.com, then: gh auth login")
    done = subprocess.run(["gh", *arguments], input=given, capture_output=True, text=True)
    if done.returncode:
        raise SlipwayError(
            f"`gh {' '.join(arguments)}` failed:\n{done.stderr.strip()}",
            "In a workflow it needs GH_TOKEN and GH_REPO, and the permission to write; here: gh auth status",
        )
    return done.stdout
