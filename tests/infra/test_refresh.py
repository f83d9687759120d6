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

from infra import cli, pins
from infra.errors import SlipwayError
from infra.pipeline import refresh
from infra.settings import ROOT, Settings
from tests.fake_gh import FakeGh
from tests.infra.program import programmed
from tests.infra.recorder import of

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
    shutil.copy(ROOT / pins.FILE, root / pins.FILE)
    shutil.copy(ROOT / "Pulumi.yaml", root / "Pulumi.yaml")
    shutil.copytree(ROOT / "stacks", root / "stacks")
    return root


def registries(folder: Path, monkeypatch: pytest.MonkeyPatch, known: dict[str, str]) -> None:
    """A `docker` that knows the digests of these images."""
    command = folder / "bin" / "docker"
    command.parent.mkdir(exist_ok=True)
    command.write_text(ANSWERS.format(python=sys.executable, known=known))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")


def test_every_image_that_a_stack_is_built_from_is_asked_for(repository: Path) -> None:
    found = set(refresh.bases(repository))
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
    refresh._write(repository / pins.FILE, "2026-01-01", {"one:1": OLD, "two:2": OLD, "three:3": OLD})
    done = refresh.refresh(["one:1", "two:2", "three:3"], DAY, repository)
    assert (done.changed, done.same) == ({"one:1": NEW}, ["two:2"])
    assert done.unknown == {"three:3": "ERROR: three:3: not found"}
    found = pins.read(repository)
    assert (found.refreshed, found.digests) == (DAY, {"one:1": NEW, "two:2": OLD, "three:3": OLD})
    assert found.pinned("one:1") == f"one:1@{NEW}"
    assert found.pinned("four:4") == "four:4"
    assert (repository / pins.FILE).read_text().startswith("# What images are built from")


def test_where_no_registry_answers_nothing_is_changed_and_the_command_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries(tmp_path, monkeypatch, {})
    before = (ROOT / pins.FILE).read_bytes()
    done = CliRunner().invoke(cli.app, ["image", "refresh"])
    assert isinstance(done.exception, SlipwayError)
    assert "nothing was changed" in done.exception.message
    assert "python:3.11-slim` could not be asked for: ERROR" in done.stdout
    assert (ROOT / pins.FILE).read_bytes() == before


def images(monkeypatch: pytest.MonkeyPatch, found: pins.Pins, **changes: Any) -> dict[str, Any]:
    monkeypatch.setattr(pins, "read", lambda *_: found)
    made = programmed("dev", Settings.from_files("dev").model_copy(update=changes))
    return {image.name.removeprefix("slipway-dev-"): image.inputs for image in of(made, "docker-build:index:Image")}


def tag(inputs: dict[str, Any]) -> str:
    return str(inputs["tags"][0].rpartition(":")[2])


def test_a_pinned_base_is_what_the_build_is_told_and_another_day_is_another_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = images(monkeypatch, pins.Pins("", {}))
    pinned = images(monkeypatch, pins.Pins("", {"python:3.11-slim": NEW}))
    later = images(monkeypatch, pins.Pins(DAY, {"python:3.11-slim": NEW}))
    assert none["app"]["buildArgs"]["BASE_IMAGE"] == "python:3.11-slim"
    assert later["app"]["buildArgs"]["BASE_IMAGE"] == f"python:3.11-slim@{NEW}"
    assert len({tag(each["app"]) for each in (none, pinned, later)}) == 3
    assert tag(none["database"]) == tag(pinned["database"]) != tag(later["database"])
    unpinned = images(monkeypatch, pins.Pins(DAY, {"python:3.11-slim": NEW}), pin_images=False)
    assert tag(unpinned["app"]) == tag(none["app"])


def test_a_digest_that_is_none_is_named(repository: Path) -> None:
    (repository / pins.FILE).write_text("digests: {python:3.11-slim: latest}")
    with pytest.raises(SlipwayError, match=r"python:3\.11-slim has no digest"):
        pins.read(repository)


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
    for day, digest in ((DAY, OLD), ("2026-12-03", NEW)):
        git("switch", "--quiet", "main")
        registries(tmp_path, monkeypatch, {"one:1": digest})
        refresh.open_pull_request(refresh.refresh(["one:1"], day, repository), repository)
    assert git("log", "--format=%s", "main..origin/slipway/image-refresh") == "Build the images anew: 2026-12-03"
    assert NEW in git("show", f"origin/slipway/image-refresh:{pins.FILE}")
    (made,) = json.loads(gh.store.read_text())["pulls"]
    assert made["head"] == refresh.BRANCH
    assert "as of 2026-12-03" in made["body"]
