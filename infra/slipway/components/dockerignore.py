"""Reads .dockerignore and lists the files of a build context, with the semantics of Moby's `patternmatcher`.

https://github.com/moby/patternmatcher: patterns match whole paths, `*` and `?` stop at a slash and `**` does not, a
match of a folder holds for everything in it, `!` takes a match back, and the last pattern that matches decides.
"""

from __future__ import annotations

import codecs
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slipway.config.errors import SlipwayError


def read_dockerignore(file: Path) -> list[str]:
    """Returns the patterns of a .dockerignore; empty if there is no such file.

    Raises:
        SlipwayError: The file is not UTF-8.
    """
    if not file.is_file():
        return []
    content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without a byte order mark
        raise SlipwayError(
            f"{file.parent.name}/{file.name} is not UTF-8, so its patterns are unreadable.",
            "Save it as UTF-8: iconv -f UTF-16 -t UTF-8, or ISO-8859-1 in place of UTF-16.",
        )
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    return [line.strip() for line in lines if line.strip()]


@dataclass(frozen=True)
class _Pattern:
    regex: re.Pattern[str]
    is_negated: bool

    def matches(self, path: str) -> bool:
        return self.regex.fullmatch(path) is not None


class IgnorePatterns:
    """The patterns of a .dockerignore, in order.

    Raises:
        SlipwayError: A pattern is malformed; the error has it.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_parse(pattern) for pattern in patterns]

    def ignores(self, path: str) -> bool:
        """Returns whether a path, relative and with slashes, is left out of the context."""
        ancestors = [str(parent) for parent in PurePosixPath(path).parents][:-1]
        is_ignored = False
        for pattern in self._patterns:
            if any(pattern.matches(candidate) for candidate in (path, *ancestors)):
                is_ignored = not pattern.is_negated
        return is_ignored

    def list_files(self, folder: Path) -> list[Path]:
        """Returns the files and symbolic links below `folder` that are not ignored, relative to it and sorted."""
        return sorted(Path(path) for path in self._walk(folder, "", frozenset()))

    def _walk(self, folder: Path, prefix: str, parent_matches: frozenset[int]) -> Iterator[str]:
        """Yields the files below a folder; `parent_matches`: indices of the patterns that match an ancestor."""
        for entry in os.scandir(folder):
            path = f"{prefix}{entry.name}"
            matches = parent_matches | {
                index
                for index, pattern in enumerate(self._patterns)
                if index not in parent_matches and pattern.matches(path)
            }
            last = max(matches, default=None)
            is_ignored = last is not None and not self._patterns[last].is_negated
            if not entry.is_dir(follow_symlinks=False):
                if not is_ignored:
                    yield path
            elif not is_ignored or self._may_be_taken_back(last):
                yield from self._walk(Path(entry.path), f"{path}/", matches)

    def _may_be_taken_back(self, last: int | None) -> bool:
        """Returns whether a pattern behind the one that ignores a folder may include something in it."""
        return any(pattern.is_negated for pattern in self._patterns[(last or 0) + 1 :])


def _parse(pattern: str) -> _Pattern:
    is_negated = pattern.startswith("!")
    text = pattern.removeprefix("!").strip()
    if not text:
        raise SlipwayError(f".dockerignore: the pattern {pattern!r} has no effect.", "Remove the line.")
    cleaned = posixpath.normpath(text).lstrip("/") or "/"
    try:
        return _Pattern(re.compile(_to_regex(cleaned), re.DOTALL), is_negated)
    except re.error:
        raise SlipwayError(
            f".dockerignore: the pattern {pattern!r} is malformed: a [ has no ].",
            "Close it, or write \\[ for the character itself.",
        ) from None


def _to_regex(pattern: str) -> str:
    """Returns the regular expression of a cleaned pattern, for `fullmatch`."""
    if pattern.startswith("**") and not re.search(r"[*?\[\]\\]", pattern[2:]):
        # Moby compares the end of the path: `**name` matches `my-name`, and `**/name` also `name` itself.
        suffix = re.escape(pattern[2:])
        return f".*{suffix}|{re.escape(pattern[3:])}" if pattern.startswith("**/") else f".*{suffix}"
    regex = ""
    position = 0
    in_class = False
    while position < len(pattern):
        character = pattern[position]
        following = pattern[position + 1 : position + 2]
        position += 1
        if character == "\\" and following:
            regex += re.escape(following)
            position += 1
        elif in_class:
            regex += "\\[" if character == "[" else character
            in_class = character != "]"
        elif character == "[":
            regex += "["
            in_class = True
        elif character == "*" and following == "*":
            position += 1
            if pattern[position : position + 1] == "/":
                position += 1
            regex += "(.*/)?" if position < len(pattern) else ".*"
        elif character == "*":
            regex += "[^/]*"
        elif character == "?":
            regex += "[^/]"
        else:
            regex += re.escape(character)
    return regex
