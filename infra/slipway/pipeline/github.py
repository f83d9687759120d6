"""Sends requests to GitHub with its CLI `gh`: updates a comment or issue, reads a repository's names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root

COMMENTS_PATH = "repos/{owner}/{repo}/issues/{number}/comments"
"""`gh` fills in the repository's names, from GH_REPO or the folder's remote."""
ISSUES_PATH = "repos/{owner}/{repo}/issues"
NUMERIC_SUBJECTS_SINCE = "2026-07-15"
"""Since then, tokens of new and of renamed repositories also contain the numeric ids of owner and repository."""


def upsert_comment(number: int, mark: str, text: str) -> None:
    """Updates the comment of a pull request that begins with `mark`, or creates it."""
    path = COMMENTS_PATH.replace("{number}", str(number))
    body = {"body": f"{mark}\n{text}"}
    # Any user can write the mark, so only a workflow's comment counts as the kit's.
    comments = [
        comment
        for comment in _list_all_pages(path)
        if comment["body"].startswith(mark) and comment["user"]["type"] == "Bot"
    ]
    if comments:
        _send_request("PATCH", f"{ISSUES_PATH}/comments/{comments[0]['id']}", body)
    else:
        _send_request("POST", path, body)


def upsert_issue(title: str, text: str) -> None:
    """Updates the open issue of this title, or creates it."""
    number = _find_issue_number(title)
    if number:
        _send_request("PATCH", f"{ISSUES_PATH}/{number}", {"body": text})
    else:
        _send_request("POST", ISSUES_PATH, {"title": title, "body": text})


def close_issue(title: str) -> None:
    """Closes the open issue of this title, if there is one."""
    number = _find_issue_number(title)
    if number:
        _send_request("PATCH", f"{ISSUES_PATH}/{number}", {"state": "closed"})


@dataclass(frozen=True)
class RepositorySubject:
    """The repository's names in GitHub's OIDC tokens."""

    plain: str
    """`owner/name`."""
    numbered: str
    """`owner@ID/name@ID`: another owner can take a released name, but not its id."""
    new: bool
    """Whether it was created since tokens contain the ids; one that was renamed since then has them too."""

    @property
    def recommended(self) -> str:
        """Returns the one to configure."""
        return self.numbered if self.new else self.plain


def get_repository_subject(repository: str) -> RepositorySubject:
    """Reads the ids of `owner/name` from GitHub. Raises `SlipwayError` if there is no such repository."""
    about = json.loads(_gh(["api", f"repos/{repository}"]))
    owner, name = about["owner"]["login"], about["name"]
    numbered = f"{owner}@{about['owner']['id']}/{name}@{about['id']}"
    return RepositorySubject(f"{owner}/{name}", numbered, str(about["created_at"]) >= NUMERIC_SUBJECTS_SINCE)


def get_origin_repository() -> str:
    """Returns `owner/name` of the folder's remote `origin`, if it is on GitHub; else empty."""
    command = ["git", "config", "--get", "remote.origin.url"]
    url = subprocess.run(command, cwd=project_root(), capture_output=True, text=True).stdout.strip()
    match = re.match(r"(?:https://|ssh://git@|git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", url)
    return match[1] if match else ""


def run_gh(*arguments: str, body: str = "") -> str:
    """Returns what `gh` prints; `body` is its standard input. Raises `SlipwayError` with gh's error if it fails."""
    return _gh(list(arguments), body).strip()


def list_pages(path: str) -> list[Any]:
    """Returns GitHub's answers to a GET request, one for each page."""
    pages: list[Any] = json.loads(_gh(["api", path, "--paginate", "--slurp"]))
    return pages


def _find_issue_number(title: str) -> int:
    issues = [
        issue
        for issue in _list_all_pages(f"{ISSUES_PATH}?state=open")
        if issue["title"] == title and issue["user"]["type"] == "Bot"
    ]
    return int(issues[0]["number"]) if issues else 0


def _list_all_pages(path: str) -> list[Any]:
    return [entry for page in list_pages(path) for entry in page]


def _send_request(method: str, path: str, body: dict[str, Any]) -> None:
    _gh(["api", "--method", method, path, "--input", "-"], json.dumps(body))


def _gh(arguments: list[str], body: str = "") -> str:
    if not shutil.which("gh"):
        raise SlipwayError("GitHub's command gh is not installed.", "https://cli.github.com, then: gh auth login")
    result = subprocess.run(["gh", *arguments], input=body, capture_output=True, text=True)
    if result.returncode:
        raise SlipwayError(
            f"`gh {' '.join(arguments)}` failed:\n{result.stderr.strip()}",
            "In a workflow it needs GH_TOKEN and GH_REPO, and the permission to write; here: gh auth status",
        )
    return result.stdout
