"""From a repository with a FastAPI app to an address, of each kind of app: files, questions, seconds of init and of up.

    .venv/bin/python -m benchmarks.init_to_address [APP ...]

Builds the wheel, and for each app makes a repository outside this one, runs `slipway init --yes` and `slipway up` in it
as docs/your-app.md says, asks the address and takes everything down. Pulumi, the base images and the kit's packages are
there before the clock runs; each app's own image is built. Questions are those of a person at a terminal who takes each
default. Ends with 1 where an app does not come to its address, unless its image cannot be had on this machine.

2026-12-01, two idle cores: init 4 to 5 s, up 26 to 71 s; 12 files; one question, two for the reference app and the
monorepo; python:3.13-slim could not be pulled. docs/your-app.md has the table. The package had 270 files of Python and
31,800 lines, the extra 162 and 18,400.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway_local.base_images import COMMON_IMAGES, ensure_base_images
from slipway_local.docker_engine import ensure_docker
from slipway_local.toolchain import ensure_pulumi
from tests.local.team_project import ROOT, UV, TeamProject, build_wheel, team_project

ENTER = b"\n" * 3
"""Init asks three questions at most."""
NO_IMAGE = "cannot be pulled"


@dataclass(frozen=True)
class TriedApp:
    """An app, and a request that shows that it works."""

    what: str
    folder: str
    """In tests/apps; empty: nothing, so that init offers the reference app."""
    request: tuple[str, str, str]
    """Method, path and body."""
    answer: tuple[int, str]
    """Status, and text that is in the body."""
    chosen: str = ""
    """Of several apps of the repository."""
    replaced: dict[str, tuple[str, str]] = field(default_factory=dict)
    """File -> text of it and what replaces it."""


SRC_LAYOUT = (("POST", "/orders?item=lamp", ""), (201, "1"))
APPS = {
    "bare": TriedApp("no store, requirements.txt", "bare", ("GET", "/ping", ""), (200, "pong")),
    "sync_orm": TriedApp(
        "SQLAlchemy without async, its own Dockerfile", "sync_orm", ("POST", "/notes", '{"text": "Tea"}'), (201, "1")
    ),
    "reference": TriedApp("an empty folder: the reference app", "", ("GET", "/api/v1/users/", ""), (200, "[")),
    "src_layout": TriedApp("src/, Python 3.13 alone, old pins", "src_layout", *SRC_LAYOUT),
    "src_layout_311": TriedApp(
        "the same, where it allows Python 3.11",
        "src_layout",
        *SRC_LAYOUT,
        replaced={"pyproject.toml": (">=3.13,<3.14", ">=3.11,<3.14")},
    ),
    "poetry": TriedApp("Poetry, alembic", "poetry", ("GET", "/api/v1/accounts/", ""), (200, "[]")),
    "flat": TriedApp("main.py at the root, Redis", "flat", ("POST", "/count/tea", ""), (200, '"count":1')),
    "monorepo": TriedApp(
        "one of two apps of a monorepo", "monorepo", ("GET", "/orders", ""), (200, "billing"), "services/orders"
    ),
    "celery_jobs": TriedApp("Celery with beat, on Redis", "celery_jobs", ("GET", "/livez", ""), (200, "")),
}


def count_questions(project: TeamProject, wheel: Path) -> int:
    """Questions of `slipway init` at a terminal, with Enter for an answer to each."""
    terminal, other_end = pty.openpty()
    os.write(terminal, ENTER)
    command = [str(UV), "tool", "run", "--from", str(wheel), "slipway", "init", "--dry-run", "--kit", str(wheel)]
    done = subprocess.run(
        command, cwd=project.root, env=project.env, stdin=other_end, capture_output=True, text=True, timeout=300
    )
    os.close(terminal)
    os.close(other_end)
    assert done.returncode == 0, done.stdout + done.stderr
    return len(re.findall(r" \[[^]\n]+\]:", done.stderr))


def unknowns(found: dict[str, Any]) -> list[str]:
    """What init could not find out in the sources, and so leaves to a person."""
    required = [name for name, kind in found["secrets"].items() if kind == "required"]
    return [
        *([] if found["app"]["health"]["live"] else ["a health path"]),
        *(f"a value of {name}" for name in dict.fromkeys([*required, *found["unmapped"]])),
        *(f"whether {value} is right for {name}" for name, value in found["from_examples"].items()),
        *found["unread"],
    ]


def lines_of(paths: list[Path]) -> tuple[int, int]:
    """Number of files, and of their lines."""
    return len(paths), sum(len(path.read_bytes().splitlines()) for path in paths)


def sources(folder: str) -> list[Path]:
    """The files of a folder of this repository that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def try_app(app: TriedApp, wheel: Path, folder: Path) -> tuple[list[str], str]:
    """The row of an app, and the sizes of what init wrote.

    Raises:
        AssertionError: A command failed, or the app answered otherwise.
    """
    with team_project(app.folder, folder) as project:
        for name, (text, instead) in app.replaced.items():
            file = project.root / name
            file.write_text(file.read_text().replace(text, instead))
        before = project.files()
        questions = count_questions(project, wheel)
        chosen = ["--app", app.chosen] if app.chosen else []
        began = time.monotonic()
        done = project.uv(
            "tool", "run", "--from", str(wheel), "slipway", "init", "--yes", "--json", "--kit", str(wheel), *chosen
        )
        init_seconds = time.monotonic() - began
        new = project.files() - before
        own = [name for name in new if not name.startswith(("app/", "tests/")) or name.endswith(".dockerignore")]
        count, lines = lines_of([project.root / name for name in own if not name.endswith((".lock", ".json"))])
        row = [app.what, str(len(own)), str(questions), "; ".join(unknowns(json.loads(done.stdout))) or "nothing"]
        row.append(f"{init_seconds:.0f}")
        began = time.monotonic()
        try:
            project.uv("run", "--quiet", "--project", "infra", "slipway", "up")
        except AssertionError as failure:
            reason = re.search(r"error: (.*)", str(failure))
            if reason is None or NO_IMAGE not in reason[1]:
                raise
            return [*row, "", reason[1]], ""
        row.append(f"{time.monotonic() - began:.0f}")
        method, path, body = app.request
        status, text = project.request(method, path, body, project.status()["url"])
        assert (status, app.answer[1] in text) == (app.answer[0], True), (status, text)
        return [*row, f"{method} {path.partition('?')[0]}: {status}"], f"{count} files, {lines} lines"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("apps", nargs="*", metavar="APP", help=f"of {', '.join(APPS)} (default: all)")
    names = parser.parse_args().apps or list(APPS)
    ensure_docker()
    ensure_base_images([*COMMON_IMAGES])
    ensure_pulumi()
    sizes, failures = dict[str, str](), dict[str, str]()
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_wheel(Path(scratch))
        subprocess.run([UV, "tool", "run", "--from", wheel, "slipway", "--help"], capture_output=True, check=True)
        print("| app | files | questions | not found out | init, s | up, s | answer |\n|---|---|---|---|---|---|---|")
        for name in names:
            try:
                row, size = try_app(APPS[name], wheel, Path(scratch, name.replace("_", "-")))
            except AssertionError as failure:
                row, size = [APPS[name].what, *[""] * 5, "failed"], ""
                failures[name] = str(failure)
            print("| " + " | ".join(row) + " |", flush=True)
            sizes |= {name: size} if size else {}
    package = [path for path in sources("infra/slipway") if path.suffix == ".py"]
    extra = [path for path in sources("infra/slipway_local") if path.suffix == ".py"]
    for what, paths in {"the package": package, "the extra `local`": extra}.items():
        print("\n{}: {} files of Python, {} lines".format(what, *lines_of(paths)), end="")
    print("\nwritten by init, without the lock and its record: " + "; ".join(f"{n}: {s}" for n, s in sizes.items()))
    for name, reason in failures.items():
        print(f"\n{name} failed:\n{reason[-4000:]}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
