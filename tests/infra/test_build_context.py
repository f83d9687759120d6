"""What an image's build sees, and the hash of it: the same on every machine, and nothing that must not be in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.components.build_context import MAX_KEPT_CONTEXTS, create_build_context
from slipway.config.errors import SlipwayError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "backend"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "main.py").write_text("app = 1\n")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return folder


def built(source: Path, hash_input: str = "") -> tuple[Path, str]:
    return create_build_context(
        source,
        source / "Dockerfile",
        extra={"ca.pem": "authority"},
        dockerfile_suffix="COPY .slipway/ca.pem /ca.pem\n",
        hash_input=hash_input,
        into=source.parent / "copies",
    )


def files(copy: Path) -> set[str]:
    return {str(path.relative_to(copy)) for path in copy.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_the_copy_has_the_sources_and_the_kits_files_and_the_dockerfile_with_its_lines(source: Path) -> None:
    copy, _ = built(source)
    assert files(copy) == {"app/main.py", "Dockerfile", ".slipway/ca.pem", ".slipway/Dockerfile"}
    assert (copy / ".slipway/Dockerfile").read_text() == "FROM scratch\n\nCOPY .slipway/ca.pem /ca.pem\n"


def test_the_same_sources_are_the_same_image_and_any_change_that_the_build_sees_another(source: Path) -> None:
    _, first = built(source)
    assert built(source)[1] == first
    assert built(source, hash_input="ARM64")[1] != first
    (source / "app" / "main.py").write_text("app = 2\n")
    assert built(source)[1] != first


def test_what_is_ignored_changes_nothing(source: Path) -> None:
    (source / ".dockerignore").write_text("# notes\nnotes\n**/*.log\n")
    _, first = built(source)
    (source / "notes").write_text("x")
    (source / "app" / "x.log").write_text("x")
    (source / "app" / "__pycache__").mkdir()
    (source / "app" / "__pycache__" / "main.pyc").write_text("x")
    copy, again = built(source)
    assert again == first
    assert "notes" not in files(copy)


def test_a_laptops_secrets_get_into_no_image(source: Path) -> None:
    (source / ".env").write_text("SECRET_KEY=x")
    (source / ".git").mkdir()
    (source / ".git" / "config").write_text("x")
    assert not {name for name in files(built(source)[0]) if ".env" in name or ".git" in name}


def test_a_dockerignore_that_lets_in_one_folder_alone_still_has_the_kits_files(source: Path) -> None:
    (source / ".dockerignore").write_text("*\n!app\n")
    copy, _ = built(source)
    assert files(copy) == {"app/main.py", ".slipway/ca.pem", ".slipway/Dockerfile"}


def test_modes_of_this_machine_do_not_reach_the_image(source: Path) -> None:
    script = source / "app" / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    _, first = built(source)
    for path in (script, source / "app" / "main.py", source / "app"):
        path.chmod(path.stat().st_mode | 0o055)
    copy, again = built(source)
    assert again == first
    modes = {name: (copy / name).stat().st_mode & 0o777 for name in ("app/run.sh", "app/main.py", "app")}
    assert modes == {"app/run.sh": 0o755, "app/main.py": 0o644, "app": 0o755}


def test_a_link_is_a_link_and_where_it_points_is_part_of_the_hash(source: Path) -> None:
    link = source / "app" / "current.py"
    link.symlink_to("main.py")
    copy, first = built(source)
    assert (copy / "app" / "current.py").readlink() == Path("main.py")
    link.unlink()
    link.symlink_to("other.py")
    assert built(source)[1] != first


def test_a_name_that_is_not_utf_8_is_named_without_a_traceback(source: Path) -> None:
    (source / os.fsdecode(b"app/caf\xe9.txt")).write_text("x")
    with pytest.raises(SlipwayError, match=r"backend/app/caf.\.txt is not UTF-8") as caught:
        built(source)
    assert ".dockerignore" in caught.value.fix
    assert list((source.parent / "copies").iterdir()) == []


def test_what_cannot_be_copied_is_named(source: Path) -> None:
    os.mkfifo(source / "app" / "pipe")
    with pytest.raises(SlipwayError, match="backend/app/pipe cannot be read for the image"):
        built(source)


def test_old_copies_go(source: Path) -> None:
    for number in range(MAX_KEPT_CONTEXTS + 3):
        copy, _ = built(source, hash_input=str(number))
    assert len(list((source.parent / "copies").iterdir())) == MAX_KEPT_CONTEXTS
    assert copy.exists()
