"""What .dockerignore leaves out of an image, case by case, and with docker-py's matcher as a second opinion."""

from __future__ import annotations

from pathlib import Path

import pytest
from docker.utils.build import PatternMatcher

from slipway.components.build_context import create_build_context
from slipway.components.dockerignore import IgnorePatterns, read_dockerignore
from slipway.config.errors import SlipwayError

CASES = [
    # patterns, path, whether it is left out
    (["notes"], "notes", True),
    (["notes"], "notes/a.txt", True),
    (["notes"], "app/notes", False),
    (["/notes"], "notes", True),
    (["./notes/"], "notes/a.txt", True),
    (["app/../notes"], "notes", True),
    (["*.log"], "a.log", True),
    (["*.log"], "app/a.log", False),
    (["*/*.log"], "app/a.log", True),
    (["*/*.log"], "app/api/a.log", False),
    (["**/*.log"], "a.log", True),
    (["**/*.log"], "app/api/a.log", True),
    (["**/.env"], ".env", True),
    (["**/.env"], "app/.env", True),
    (["**/.env"], "app/my.env", False),
    (["app/**"], "app/main.py", True),
    (["app/**"], "application/main.py", False),
    (["app/**/cache"], "app/cache", True),
    (["**"], "anything/at/all", True),
    (["model.?"], "model.h", True),
    (["model.?"], "model.h5", False),
    (["model?bin"], "model/bin", False),
    (["[a-c].txt"], "b.txt", True),
    (["[a-c].txt"], "d.txt", False),
    (["a.b"], "axb", False),
    (["a+b(c)"], "a+b(c)", True),
    (["*", "!app"], "app/main.py", False),
    (["*", "!app"], "notes", True),
    (["*", "!app", "app/secret"], "app/secret/key", True),
    (["*", "!app/*.py"], "app/main.py", False),
    (["*", "!app/*.py"], "app/main.txt", True),
    (["!app", "*"], "app/main.py", True),
    (["app", "!app/keep", "app/keep/not"], "app/keep/yes", False),
    (["app", "!app/keep", "app/keep/not"], "app/keep/not", True),
    (["ümlaut.txt"], "ümlaut.txt", True),
]
ONLY_MOBY = [
    # docker-py ignores case, knows no [^ and no parent of a path behind **, takes a backslash for a separator
    (["app/**/cache"], "app/a/b/cache/x", True),
    (["[^a-c].txt"], "d.txt", True),
    (["Notes"], "notes", False),
    ([r"\[draft\]"], "[draft]", True),
    ([r"\[draft\]"], "d", False),
    ([r"\[draft\].md"], "[draft].md", True),
    ([r"a\*b"], "a*b", True),
    ([r"a\*b"], "axb", False),
    (["**draft"], "my-draft", True),
    (["!  app", "x"], "app", False),
]


@pytest.mark.parametrize(("patterns", "path", "ignored"), CASES + ONLY_MOBY)
def test_a_path_is_left_out_as_moby_does(patterns: list[str], path: str, ignored: bool) -> None:
    assert IgnorePatterns(patterns).ignores(path) is ignored


@pytest.mark.parametrize(("patterns", "path", "ignored"), CASES)
def test_docker_py_is_of_the_same_opinion(patterns: list[str], path: str, ignored: bool) -> None:
    assert bool(PatternMatcher(patterns).matches(path)) is ignored


@pytest.mark.parametrize(("patterns", "path", "ignored"), CASES + ONLY_MOBY)
def test_the_files_of_a_folder_are_those_that_are_not_left_out(
    patterns: list[str], path: str, ignored: bool, tmp_path: Path
) -> None:
    """Listing skips whole folders, which must leave out no file that a later pattern takes back."""
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("x")
    assert (Path(path) not in IgnorePatterns(patterns).list_files(tmp_path)) is ignored


def test_a_link_to_a_folder_is_a_link_and_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("x")
    (tmp_path / "link").symlink_to("app")
    assert IgnorePatterns([]).list_files(tmp_path) == [Path("app/main.py"), Path("link")]


@pytest.mark.parametrize(
    ("pattern", "problem"), [("[a-", "is malformed: a "), ("a[", "is malformed: a "), ("!", "has no effect")]
)
def test_a_malformed_pattern_is_named(pattern: str, problem: str) -> None:
    with pytest.raises(SlipwayError, match=rf"\.dockerignore: the pattern .* {problem}"):
        IgnorePatterns([pattern])


def test_comments_blank_lines_and_line_ends_of_windows_are_no_patterns(tmp_path: Path) -> None:
    file = tmp_path / ".dockerignore"
    file.write_bytes(b"# a comment\r\n\r\n  notes  \r\n #not-a-comment\r\n")
    assert read_dockerignore(file) == ["notes", "#not-a-comment"]
    assert read_dockerignore(tmp_path / "none") == []


def context(source: Path) -> set[str]:
    folder, _ = create_build_context(
        source, source / "Dockerfile", extra={}, dockerfile_suffix="", hash_input="", into=source.parent / "copies"
    )
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "backend"
    folder.mkdir()
    for name in ("Dockerfile", "main.py", "model.bin", "[draft]"):
        (folder / name).write_text("FROM scratch\n")
    return folder


def test_a_byte_order_mark_is_no_part_of_the_first_pattern(source: Path) -> None:
    (source / ".dockerignore").write_bytes("model.bin\n".encode("utf-8-sig"))
    assert context(source) == {"Dockerfile", "main.py", "[draft]", ".slipway/Dockerfile"}


def test_a_bracket_that_is_escaped_is_one(source: Path) -> None:
    (source / ".dockerignore").write_text("\\[draft\\]\n")
    assert context(source) == {"Dockerfile", "main.py", "model.bin", ".slipway/Dockerfile"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_told_in_one_sentence(source: Path, encoding: str) -> None:
    (source / ".dockerignore").write_bytes("modèle.bin\n".encode(encoding))
    with pytest.raises(SlipwayError, match=r"backend/\.dockerignore is not UTF-8"):
        context(source)
