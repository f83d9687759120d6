"""Reading the files that users write: each fault is named with file, line and cure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from slipway.config.app_spec.loader import load_app
from slipway.config.errors import SlipwayError
from slipway.config.image_digests import load_image_digests
from slipway.config.settings import Settings
from slipway.config.text_files import parse_yaml, read_text_file, read_yaml_mapping

UTF8 = "tier: dev # Büro\n".encode()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "docker").mkdir()
    (tmp_path / "backend").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    (tmp_path / "stacks" / "Pulumi.qa.yaml").write_text("config:\n  tier: dev\n")
    (tmp_path / "stacks" / "app.yaml").write_text("source: backend\nmodule: api:app\n")
    return tmp_path


def read(project: Path, name: str) -> Any:
    """Reads one of the files as the kit does."""
    if name == "docker/pins.yaml":
        return load_image_digests(project)
    settings = Settings.from_files("qa", project)
    return load_app(settings, project) if name == "stacks/app.yaml" else settings


FILES = ["stacks/app.yaml", "stacks/Pulumi.qa.yaml", "Pulumi.yaml", "docker/pins.yaml"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("content", "message", "cure"),
    [
        ("ab: [1\n".encode("utf-16"), "is encoded in UTF-16", "iconv -f UTF-16 -t UTF-8"),
        ("ab: 1\n".encode("utf-16-le"), "line 1, has a NUL byte", "iconv -f UTF-16LE"),
        ("ab: 1\n".encode("utf-16-be"), "line 1, has a NUL byte", "iconv -f UTF-16BE"),
        ("ab: 1\n# Büro\n".encode("latin-1"), "line 2, has the byte 0xFC", "iconv -f LATIN1"),
        (b"ab: 1\ncd: [\n", "line 3, column 1: wrong YAML", "Correct that line"),
        (b"ab: 1\n\tcd: 2\n", "line 2, column 1: wrong YAML", "Correct that line"),
        (b"ab: 1\ncd: \x07\n", "line 2: the character U+0007", "Delete it"),
        (b"\n\x07\n", "line 2: the character U+0007", "Delete it"),
        (b"ab: 1\ncd: 2\nab: 3\n", "line 3: the key ab is already in line 1", "Delete one"),
        (b"- ab\n", "is not a mapping of keys to values: it has a list at its top level", "lines of `key: value`"),
        (b"ab: 2026-02-31\n", "day is out of range", "Put that value of "),
        (b"ab: *cd\n", "line 1, column 5: wrong YAML", "Correct that line"),
        (b"[" * 5000, "nested too deeply", "Correct"),
    ],
)
def test_a_broken_file_is_named_with_its_line_and_the_cure(
    project: Path, name: str, content: bytes, message: str, cure: str
) -> None:
    (project / name).write_bytes(content)
    with pytest.raises(SlipwayError) as caught:
        read(project, name)
    assert name in caught.value.message
    assert message in caught.value.message
    assert cure in caught.value.fix


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_files_place_is_named(project: Path, name: str) -> None:
    (project / name).unlink(missing_ok=True)
    (project / name).mkdir()
    with pytest.raises(SlipwayError, match=f"{name} is a directory"):
        read(project, name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
@pytest.mark.parametrize("name", FILES)
def test_a_file_without_permission_is_named(project: Path, name: str) -> None:
    (project / name).touch()
    (project / name).chmod(0)
    with pytest.raises(SlipwayError, match=f"{name} cannot be read: Permission denied"):
        read(project, name)


def test_what_the_system_refuses_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SlipwayError, match=r"app\.yaml cannot be read: Permission denied"):
        read_text_file(tmp_path / "app.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"There is no file pins\.yaml"):
        read_text_file(tmp_path / "pins.yaml", "pins.yaml")


@pytest.mark.parametrize("content", [UTF8, b"\xef\xbb\xbf" + UTF8, UTF8.replace(b"\n", b"\r\n")])
def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    assert read_yaml_mapping(tmp_path / "a.yaml") == {"tier": "dev"}
    assert read_text_file(tmp_path / "a.yaml").startswith("tier")


@pytest.mark.parametrize("text", ["", "\n", "# a comment alone\n", "---\n", "null\n"])
def test_a_file_without_contents_is_an_empty_mapping(project: Path, text: str) -> None:
    (project / "stacks" / "Pulumi.qa.yaml").write_text(text)
    with pytest.raises(SlipwayError, match="tier: must be set"):
        Settings.from_files("qa", project)
    (project / "docker" / "pins.yaml").write_text(text)
    assert load_image_digests(project).digests == {}


def test_pins_that_are_no_mapping_are_refused(project: Path) -> None:
    (project / "docker" / "pins.yaml").write_text("digests: [python]\n")
    with pytest.raises(SlipwayError, match="digests is not a mapping"):
        load_image_digests(project)


def test_scalars_of_text_mappings_are_kept_as_they_are_written() -> None:
    text = """
    defaults: &defaults {X: 1.10}
    number: &number 1.10
    environment: {<<: *defaults, A: 1.10, B: "1.10", 1: *number, NO: off, N: , L: [1.10], S: !!str 5}
    """
    document = parse_yaml(text, "a file", lambda path: len(path) == 2 and path[0] == "environment")
    environment = {"X": "1.10", "A": "1.10", "B": "1.10", "1": "1.10", "NO": "off", "N": None, "L": [1.1], "S": "5"}
    assert document == {"defaults": {"X": 1.1}, "number": 1.1, "environment": environment}
