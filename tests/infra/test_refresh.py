"""Images that are built anew: from pinned bases, on another day by another tag, by a pull request."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipway.cli import main
from slipway.config import image_digests
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings
from slipway.pipeline import image_refresh
from tests.fake_gh import FakeGh
from tests.infra.program import programmed
from tests.infra.recorder import of
from tests.paths import FIXTURES

OLD, NEW = (f"sha256:{digit * 64}" for digit in "12")
DAY = "2026-11-26"
ANSWERS = """#!{python}
import sys
known = {known!r}
image = sys.argv[4]
assert sys.argv[1:4] == ["buildx", "imagetools", "inspect"]
print(known[image]) if image in known else sys.exit(f"ERROR: {{image}}: not found")
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With the file and the stacks alone."""
    root = tmp_path / "repository"
    (root / "docker").mkdir(parents=True)
    shutil.copy(FIXTURES / image_digests.IMAGE_DIGESTS_FILE, root / image_digests.IMAGE_DIGESTS_FILE)
    shutil.copy(FIXTURES / "Pulumi.yaml", root / "Pulumi.yaml")
    shutil.copytree(FIXTURES / "stacks", root / "stacks")
    return root


def registries(folder: Path, monkeypatch: pytest.MonkeyPatch, known: dict[str, str]) -> None:
    """A `docker` that knows the digests of these images."""
    command = folder / "bin" / "docker"
    command.parent.mkdir(exist_ok=True)
    command.write_text(ANSWERS.format(python=sys.executable, known=known))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")


def test_every_image_that_a_stack_is_built_from_is_asked_for(repository: Path) -> None:
    found = set(image_refresh.list_base_images(repository))
    assert {"python:3.11-slim", "postgres:17-alpine", "redis:7-alpine", "grafana/grafana:12.4.10"} <= found
    built = {
        image.inputs["buildArgs"]["BASE_IMAGE"]
        for stack in ("staging", "dev")
        for image in of(programmed(stack, Settings.from_files(stack)), "docker-build:index:Image")
    }
    assert built <= found


def test_what_changed_is_written_and_what_no_registry_knows_stays(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries(tmp_path, monkeypatch, {"one:1": NEW, "two:2": OLD})
    image_refresh._write_digests(
        repository / image_digests.IMAGE_DIGESTS_FILE, "2026-01-01", {"one:1": OLD, "two:2": OLD, "three:3": OLD}
    )
    done = image_refresh.refresh_digests(["one:1", "two:2", "three:3"], DAY, repository)
    assert (done.changed, done.same) == ({"one:1": NEW}, ["two:2"])
    assert done.unknown == {"three:3": "ERROR: three:3: not found"}
    found = image_digests.load_image_digests(repository)
    assert (found.refreshed, found.digests) == (DAY, {"one:1": NEW, "two:2": OLD, "three:3": OLD})
    assert found.pinned("one:1") == f"one:1@{NEW}"
    assert found.pinned("four:4") == "four:4"
    assert (repository / image_digests.IMAGE_DIGESTS_FILE).read_text().startswith("# What images are built from")


def test_a_project_without_the_file_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registries(tmp_path, monkeypatch, {"one:1": NEW})
    image_refresh.refresh_digests(["one:1"], DAY, tmp_path)
    assert image_digests.load_image_digests(tmp_path).digests == {"one:1": NEW}
    assert (tmp_path / image_digests.IMAGE_DIGESTS_FILE).read_text().startswith("# Base images")


def test_where_no_registry_answers_nothing_is_changed_and_the_command_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries(tmp_path, monkeypatch, {})
    before = (FIXTURES / image_digests.IMAGE_DIGESTS_FILE).read_bytes()
    done = CliRunner().invoke(main.app, ["image", "refresh"])
    assert isinstance(done.exception, SlipwayError)
    assert done.exception.message == "No registry answered; nothing was changed."
    assert "python:3.11-slim` could not be queried: ERROR" in done.stdout
    assert (FIXTURES / image_digests.IMAGE_DIGESTS_FILE).read_bytes() == before


def images(monkeypatch: pytest.MonkeyPatch, found: image_digests.ImageDigests, **changes: Any) -> dict[str, Any]:
    monkeypatch.setattr(image_digests, "load_image_digests", lambda *_: found)
    made = programmed("dev", Settings.from_files("dev").model_copy(update=changes))
    return {image.name.removeprefix("slipway-dev-"): image.inputs for image in of(made, "docker-build:index:Image")}


def tag(inputs: dict[str, Any]) -> str:
    return str(inputs["tags"][0].rpartition(":")[2])


def test_a_pinned_base_is_what_the_build_is_told_and_another_day_is_another_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = images(monkeypatch, image_digests.ImageDigests("", {}))
    pinned = images(monkeypatch, image_digests.ImageDigests("", {"python:3.11-slim": NEW}))
    later = images(monkeypatch, image_digests.ImageDigests(DAY, {"python:3.11-slim": NEW}))
    assert none["app"]["buildArgs"]["BASE_IMAGE"] == "python:3.11-slim"
    assert later["app"]["buildArgs"]["BASE_IMAGE"] == f"python:3.11-slim@{NEW}"
    assert len({tag(each["app"]) for each in (none, pinned, later)}) == 3
    assert tag(none["database"]) == tag(pinned["database"]) != tag(later["database"])
    unpinned = images(monkeypatch, image_digests.ImageDigests(DAY, {"python:3.11-slim": NEW}), pin_images=False)
    assert tag(unpinned["app"]) == tag(none["app"])


def test_a_digest_that_is_none_is_named(repository: Path) -> None:
    (repository / image_digests.IMAGE_DIGESTS_FILE).write_text("digests: {python:3.11-slim: latest}")
    with pytest.raises(SlipwayError, match=r"python:3\.11-slim has no digest like sha256:"):
        image_digests.load_image_digests(repository)


def test_there_is_one_pull_request_which_the_next_refresh_renews(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    gh = FakeGh(tmp_path / "gh")
    monkeypatch.setenv("PATH", f"{gh.folder}{os.pathsep}{os.environ['PATH']}")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.com")
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "origin"], check=True)
    git("init", "--quiet", "--initial-branch", "main")
    git("remote", "add", "origin", str(tmp_path / "origin"))
    git("add", ".")
    git("commit", "--quiet", "--message", "before")
    registries(tmp_path, monkeypatch, {"one:1": OLD})
    first = image_refresh.refresh_digests(["one:1"], "2026-01-01", repository)
    monkeypatch.setenv("GH_MAY_NOT_OPEN", "1")  # GitHub's default
    with pytest.raises(SlipwayError) as refused:
        image_refresh.open_pull_request(first, repository)
    monkeypatch.delenv("GH_MAY_NOT_OPEN")
    assert "Allow GitHub Actions to create and approve pull requests" in str(refused.value.fix)
    for day, digest in ((DAY, OLD), ("2026-12-03", NEW)):
        git("switch", "--quiet", "main")
        registries(tmp_path, monkeypatch, {"one:1": digest})
        image_refresh.open_pull_request(image_refresh.refresh_digests(["one:1"], day, repository), repository)
    assert (
        git("log", "--format=%s", "main..origin/slipway/image-refresh")
        == "Rebuild the images on current base images: 2026-12-03"
    )
    assert NEW in git("show", f"origin/slipway/image-refresh:{image_digests.IMAGE_DIGESTS_FILE}")
    (made,) = json.loads(gh.store.read_text())["pulls"]
    assert made["head"] == image_refresh.BRANCH
    assert "as of 2026-12-03" in made["body"]


@pytest.mark.parametrize(
    ("script", "message", "fix"),
    [
        ("", "docker is not installed, and it is needed to query registries.", "slipway doctor"),
        ("exec sleep 9", "The registry did not answer in 0.1 s.", "Check the network and the proxy."),
    ],
)
def test_a_registry_that_cannot_be_asked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str, fix: str
) -> None:
    if script:
        (tmp_path / "docker").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(image_refresh, "REGISTRY_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(SlipwayError) as failure:
        image_refresh.fetch_digest("one:1")
    assert (failure.value.message, failure.value.fix) == (message, fix)


def test_a_git_that_fails_is_shown_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as failure:
        image_refresh._git(tmp_path, "switch", "nowhere")
    assert failure.value.message.startswith("`git switch nowhere` failed, so no pull request is opened:\nfatal: ")
    assert failure.value.fix == "git status"
