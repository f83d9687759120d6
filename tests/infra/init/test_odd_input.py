"""Repositories as they are: broken files, other encodings, links in circles, folders that are not the team's."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from slipway.cli.init.detect import survey
from slipway.cli.init.sources import LARGEST_FILE, SourceTree
from tests.infra.init.apps import read, repository

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
UNREAD = "import os\nA = os.environ['NOT_READ']\n"


def test_a_broken_file_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    tree, candidates = survey(repository(tmp_path, main_py=APP, broken_py="def f(:\n    pass"))
    assert [candidate.reference for candidate in candidates] == ["main:app"]
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert tree.problems == [f"broken.py:1 is not valid Python {version}: invalid syntax"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + APP.encode(),
        b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\n" + APP.encode(),
        b"NAME = 'caf\xe9'\n" + APP.encode(),
        b"# -*- coding: no-such-encoding -*-\n" + APP.encode(),
        APP.replace("\n", "\r\n").encode(),
        b"PATTERN = '\\d'\n" + APP.encode(),
    ],
    ids=["byte order mark", "latin-1", "latin-1 unsaid", "unknown encoding", "windows lines", "invalid escape"],
)
@pytest.mark.filterwarnings("error")
def test_other_encodings_are_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_bytes(content)
    tree, candidates = survey(tmp_path)
    assert ([candidate.reference for candidate in candidates], tree.problems) == (["main:app"], [])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zero.py", b"a = 1\x00"),
        ("deep.py", b"a = " + b"(" * 5000 + b")" * 5000),
        ("empty.py", b""),
        ("pyproject.toml", b"[project\nname ="),
        ("alembic.ini", b"\xff\xfe\x00"),
        ("Dockerfile", b"\xff\xfe FROM \x00"),
        (".env", b"\xff=\xfe"),
        ("requirements.txt", b"not a requirement ===\n\n# x\n-e .\ngit+https://example.com/a.git\n"),
    ],
)
def test_a_file_that_makes_no_sense_does_not_end_the_reading(name: str, content: bytes, tmp_path: Path) -> None:
    repository(tmp_path, main_py=APP)
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path).candidate.reference == "main:app"


def test_links_in_circles_and_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    outside = repository(tmp_path / "outside", secret_py=UNREAD)
    folder = repository(tmp_path / "shop", main_py=APP, pkg__a_py="")
    (folder / "pkg" / "up").symlink_to(folder)
    (folder / "out").symlink_to(outside)
    (folder / "secret.py").symlink_to(outside / "secret.py")
    (folder / "gone.py").symlink_to(folder / "nowhere.py")
    (folder / "self.py").symlink_to(folder / "self.py")
    tree = SourceTree(folder)
    assert sorted(map(str, tree.modules)) == ["main.py", "pkg/a.py"]
    assert read(folder).variables == []


@pytest.mark.parametrize("name", [".venv", "node_modules", "env", "my-environment", ".tox", "site-packages"])
def test_folders_that_are_not_the_teams_are_skipped(name: str, tmp_path: Path) -> None:
    repository(tmp_path, main_py=APP)
    other = repository(tmp_path / name / "lib", other_py=APP + UNREAD)
    if name == "my-environment":
        (other.parent / "pyvenv.cfg").touch()
    assert [str(path) for path in SourceTree(tmp_path).modules] == ["main.py"]


def test_a_huge_folder_of_packages_costs_no_time(tmp_path: Path) -> None:
    repository(tmp_path, main_py=APP)
    for number in range(40):
        folder = tmp_path / "node_modules" / f"package{number}"
        folder.mkdir(parents=True)
        for file in range(100):
            (folder / f"{file}.py").write_text(APP)
    start = time.perf_counter()
    _, candidates = survey(tmp_path)
    assert len(candidates) == 1
    assert time.perf_counter() - start < 0.5  # reading the 4,000 takes seconds


def test_a_generated_file_is_left_out_by_its_size(tmp_path: Path) -> None:
    repository(tmp_path, main_py=APP)
    (tmp_path / "generated.py").write_text("# " + "x" * LARGEST_FILE)
    tree, _ = survey(tmp_path)
    assert tree.problems == ["generated.py was left out: it is larger than 1 MB"]


def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    """As another user where this one is root, whom no permission stops."""
    folder = repository(tmp_path / "shop", main_py=APP, closed_py=UNREAD, locked__a_py=UNREAD)
    (folder / "closed.py").chmod(0)
    (folder / "locked").chmod(0)
    for parent in [folder, *folder.parents][:4]:
        parent.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            tree, candidates = survey(folder)
            os.write(writer, repr(([c.reference for c in candidates], sorted(tree.problems))).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as stream:
        found = stream.read()
    (folder / "locked").chmod(0o755)
    problems = ["closed.py cannot be read: Permission denied", "locked cannot be read: Permission denied"]
    assert found == repr((["main:app"], problems))


def test_nothing_of_the_app_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    line = f"open({str(marker)!r}, 'w').close()\n"
    folder = repository(
        tmp_path / "shop",
        main_py=line + APP,
        INIT=line,
        setup_py=line,
        conftest_py=line,
        **{"gunicorn.conf_py": line, "sitecustomize_py": line},
    )
    assert read(folder).candidate.name == "app"
    assert not marker.exists()
