"""What a pull request reads about its preview."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipway.cli.main import app
from slipway.config.errors import SlipwayError
from slipway.pipeline import pr_comment
from tests.fake_gh import FakeGh

PREVIEW = {
    "name": "pr-42",
    "url": "https://pr-42.preview.example.com/",
    "image": "sha256:0123456789abcdef",
    "expires": "2026-12-01T12:00:00+00:00",
    "resources": 9,
    "usd_a_day": 0.4321,
    "seconds": 21.3,
}
DIFF = """diff --git a/docs/graphs/dev.txt b/docs/graphs/dev.txt
--- a/docs/graphs/dev.txt
+++ b/docs/graphs/dev.txt
@@ -3 +3,2 @@ slipway-dev
-  queue
+  queue
+    dead letters
"""


def test_it_has_address_cost_end_and_the_seconds() -> None:
    text = pr_comment.format_created(PREVIEW, "")
    for words in (
        "| Address | https://pr-42.preview.example.com/ |",
        "0.43 USD a day, for 9 resources",
        "2026-12-01T12:00:00+00:00, unless a push extends it",
        "| Serving after | 21 s |",
        "The environments' resources do not change.",
    ):
        assert words in text


def test_it_shows_how_the_environments_would_change() -> None:
    text = pr_comment.format_created(PREVIEW, DIFF)
    assert "change: 3 lines" in text
    assert "```diff\n# dev.txt\n-  queue\n+  queue\n+    dead letters\n```" in text


def test_a_long_difference_is_cut() -> None:
    text = pr_comment.format_created(PREVIEW, "+++ b/docs/graphs/dev.txt\n" + "+line\n" * 1000)
    assert "change: 1000 lines" in text
    assert "# and 701 more lines" in text
    assert len(text) < 65536


def test_the_difference_is_that_of_the_committed_trees_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        words = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(pr_comment, "project_root", lambda: tmp_path)
    graphs = tmp_path / "docs" / "graphs"
    graphs.mkdir(parents=True)
    git("init", "--quiet")
    (graphs / "dev.txt").write_text("queue\n")
    git("add", "-A")
    git("commit", "--quiet", "-m", "one")
    before = git("rev-parse", "HEAD")
    (graphs / "dev.txt").write_text("queue\nbucket\n")
    (tmp_path / "README").write_text("more\n")
    git("add", "-A")
    git("commit", "--quiet", "-m", "two")
    changes = pr_comment.diff_resource_trees(before)
    assert "+bucket" in changes
    assert "README" not in changes
    with pytest.raises(SlipwayError, match="fetch-depth: 0"):
        pr_comment.diff_resource_trees("0" * 40)


def test_a_pull_request_has_one_comment_through_pushes_a_failure_and_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gh = FakeGh(tmp_path / "gh")
    monkeypatch.setenv("PATH", f"{gh.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(pr_comment, "diff_resource_trees", lambda since: {"abc": DIFF}[since])
    file = tmp_path / "preview.json"
    file.write_text(json.dumps(PREVIEW))
    about = ["comment", "pr-42", "--pull-request", "42"]

    def written(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*about, *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        (only,) = gh.written("comments")
        assert only["issue"] == "42"
        return str(only["body"])

    assert "| Address | https://pr-42.preview.example.com/ |" in written("--up", str(file), "--since", "abc")
    assert "deployment of this push failed: https://github.com/acme/shop/actions/runs/1" in written(
        "--failed", "https://github.com/acme/shop/actions/runs/1"
    )
    assert "It was destroyed" in written("--gone")


@pytest.mark.parametrize("arguments", [[], ["--gone", "--failed", "x"]])
def test_a_comment_says_one_thing(arguments: list[str]) -> None:
    with pytest.raises(SlipwayError, match="one of --up, --failed and --gone"):
        CliRunner().invoke(app, ["comment", "pr-42", "--pull-request", "42", *arguments], catch_exceptions=False)


def test_a_file_that_describes_no_preview_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for name in ("missing", "empty"):
        with pytest.raises(SlipwayError, match=f"{name} does not describe a preview"):
            pr_comment.read_preview(tmp_path / name)
