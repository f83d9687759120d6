"""One comment and one issue, renewed in their place: by a `gh` that keeps them in a file."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from slipway.config.errors import SlipwayError
from slipway.pipeline import github
from slipway.pipeline.drift import DriftedResource, format_drift_issue
from slipway.previews.pull_requests import list_open_pull_requests
from tests.fake_gh import FakeGh

PERSON = {"type": "User", "login": "somebody"}


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    fake = FakeGh(tmp_path / "gh")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake


def test_a_comment_is_written_once_and_then_renewed(gh: FakeGh) -> None:
    gh.is_there("comments", id=1, issue="7", user=PERSON, body="Nice!")
    for text in ("first", "second"):
        github.upsert_comment(7, "<!-- pr-7 -->", text)
    github.upsert_comment(8, "<!-- pr-8 -->", "of another")
    bodies = [(each["issue"], each["body"]) for each in gh.written("comments")]
    assert bodies == [("7", "Nice!"), ("7", "<!-- pr-7 -->\nsecond"), ("8", "<!-- pr-8 -->\nof another")]


def test_a_persons_comment_with_our_mark_is_left_alone(gh: FakeGh) -> None:
    gh.is_there("comments", id=1, issue="7", user=PERSON, body="<!-- pr-7 -->\nlook here instead")
    github.upsert_comment(7, "<!-- pr-7 -->", "ours")
    assert [each["body"] for each in gh.written("comments")][1:] == ["<!-- pr-7 -->\nours"]
    assert "instead" in gh.written("comments")[0]["body"]


def test_an_issue_is_opened_renewed_and_closed_by_its_title(gh: FakeGh) -> None:
    github.close_issue("Drift: prod")
    for text in ("one", "two"):
        github.upsert_issue("Drift: prod", text)
    github.upsert_issue("Drift: staging", "another")
    github.close_issue("Drift: prod")
    assert [(each["title"], each["body"], each["state"]) for each in gh.written("issues")] == [
        ("Drift: prod", "two", "closed"),
        ("Drift: staging", "another", "open"),
    ]
    github.upsert_issue("Drift: prod", "again")
    assert [each["state"] for each in gh.written("issues")] == ["closed", "open", "open"]


def test_gh_tells_which_pull_requests_are_open(gh: FakeGh) -> None:
    assert list_open_pull_requests("gh") == set()
    gh.is_there("pulls", number=7, head="feature")
    gh.is_there("pulls", number=12, head="stacked-on-it")
    assert list_open_pull_requests("gh") == {7, 12}


@pytest.mark.parametrize(
    ("prints", "told"),
    [
        ('[{"iid": 7, "id": 900}, {"iid": 12, "id": 901}]', None),
        ("[]", None),
        ("", "did not print a list"),
        ('{"message": "401 Unauthorized"}', "did not print a list"),
        (json.dumps([{"iid": number} for number in range(100)]), "100 or more pull requests are open"),
        ("exit", "glab auth login"),
    ],
)
def test_glab_tells_which_merge_requests_are_open_and_what_is_no_list_is_not_none_of_them(
    gh: FakeGh, prints: str, told: str | None
) -> None:
    """A shell script stands for GitLab's command."""
    command = gh.folder / "glab"
    (gh.folder / "answer").write_text(prints)
    fails = 'echo "no token" >&2; exit 1' if prints == "exit" else f'exec cat "{gh.folder}/answer"'
    asked = '[ "$*" = "mr list --per-page 100 --output json" ] || exit 2'
    command.write_text(f"#!/bin/sh\n{asked}\n{fails}\n")
    command.chmod(0o755)
    if told is None:
        assert list_open_pull_requests("glab") == {each["iid"] for each in json.loads(prints)}
        return
    with pytest.raises(SlipwayError) as error:
        list_open_pull_requests("glab")
    assert told in f"{error.value.message} {error.value.fix}"
    assert told != "glab auth login" or "failed, so the open ones are unknown:\n" in error.value.message


def test_without_gh_it_is_said_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SlipwayError, match="gh is not installed"):
        github.close_issue("Drift: prod")


def test_the_report_names_each_resource_that_differs() -> None:
    found = [DriftedResource("update", "aws:cloudwatch/logGroup:LogGroup", "shop-prod-web-logs", ["retentionInDays"])]
    told = format_drift_issue("prod", found)
    assert "| update | `shop-prod-web-logs` | `aws:cloudwatch/logGroup:LogGroup` | retentionInDays |" in told
    assert "would change 1 resources" in told


@pytest.mark.parametrize(
    ("made", "called"), [("2026-07-14T23:00:00Z", "acme/shop"), ("2026-07-15T00:00:00Z", "acme@11/shop@22")]
)
def test_a_new_repository_is_called_by_its_numbers(
    gh: FakeGh, monkeypatch: pytest.MonkeyPatch, made: str, called: str
) -> None:
    monkeypatch.setenv("GH_MADE", made)
    found = github.get_repository_subject("acme/shop")
    assert (found.recommended, found.plain, found.numbered) == (called, "acme/shop", "acme@11/shop@22")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("https://github.com/acme/shop", "acme/shop"),
        ("ssh://git@github.com/acme/my.shop.git", "acme/my.shop"),
        ("https://gitlab.com/acme/shop.git", ""),
    ],
)
def test_the_repository_is_that_of_the_folders_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, name: str
) -> None:
    for arguments in (["init", "--quiet"], ["remote", "add", "origin", url]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    monkeypatch.setattr(github, "project_root", lambda: tmp_path)
    assert github.get_origin_repository() == name
