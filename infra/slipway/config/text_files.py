"""Reads the text files that users write (app.yaml, stack files, image digests) and names file, line and cure when it
cannot: a missing file, no permission, another encoding than UTF-8, wrong YAML, a key that is written twice.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from slipway.config.errors import SlipwayError

YamlPath = tuple[str, ...]
"""Keys from the top of a YAML document down to a value."""

_WIDE_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""In this order: UTF-32's first mark begins with UTF-16's."""

_STRING_TAG = "tag:yaml.org,2002:str"
_NULL_TAG = "tag:yaml.org,2002:null"
_MERGE_TAG = "tag:yaml.org,2002:merge"


class PlainText(str):
    """A scalar that is written without quotes, so another YAML reader may take it for a number, boolean or date."""

    __slots__ = ()


def read_text_file(path: Path, name: str = "") -> str:
    """Returns the text of a UTF-8 file, without its byte order mark.

    `name` is what errors call the file, by default its path. Raises `SlipwayError` where the file is missing, cannot
    be read or has another encoding.
    """
    name = name or str(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SlipwayError(f"There is no file {name}.", "Create it, or correct the path.") from None
    except IsADirectoryError:
        raise SlipwayError(
            f"{name} is a directory, and a file is expected.", "Remove it, or correct the path."
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise SlipwayError(f"{name} cannot be read: {reason}.", f"Check its permissions: ls -l {path}") from None
    return decode_text(content, name)


def decode_text(content: bytes, name: str) -> str:
    """Returns UTF-8 bytes as text, without a byte order mark.

    Raises `SlipwayError` with the line and a command that converts the file called `name` where it is not UTF-8.
    """
    for mark, encoding in _WIDE_BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            raise _encoding_error(name, f"{name} is encoded in {encoding}", encoding)
    content = content.removeprefix(codecs.BOM_UTF8)
    zero = content.find(b"\0")
    if zero >= 0:
        line = content.count(b"\n", 0, zero) + 1
        encoding = "UTF-16LE" if zero % 2 else "UTF-16BE"  # of a Latin letter, which comes first
        reason = f"{name}, line {line}, has a NUL byte: it is UTF-16 without a byte order mark, or not a text file"
        raise _encoding_error(name, reason, encoding)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reason = f"{name}, line {line}, has the byte 0x{content[error.start]:02X}, which is not UTF-8"
        raise _encoding_error(name, reason, "LATIN1") from None


def _encoding_error(name: str, reason: str, encoding: str) -> SlipwayError:
    return SlipwayError(
        f"{reason}.", f"Save it as UTF-8: iconv -f {encoding} -t UTF-8 '{name}' > tmp.txt && mv tmp.txt '{name}'"
    )


def read_yaml_mapping(path: Path, name: str = "", is_text: Callable[[YamlPath], bool] | None = None) -> dict[str, Any]:
    """Returns the top-level mapping of a YAML file; an empty file is an empty mapping.

    Raises `SlipwayError` as `read_text_file` and `parse_yaml` do, and where the document is not a mapping.
    """
    name = name or str(path)
    document = parse_yaml(read_text_file(path, name), name, is_text)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SlipwayError(
            f"{name} is not a mapping of keys to values: it has a {type(document).__name__} at its top level.",
            "Write it as lines of `key: value`.",
        )
    return document


def parse_yaml(text: str, name: str, is_text: Callable[[YamlPath], bool] | None = None) -> Any:
    """Returns the YAML document `text`, which errors call `name`.

    Scalars at paths for which `is_text` is true are returned as they are written (`1.10`, `NO`, `01234`), as
    `PlainText` where they have no quotes. Raises `SlipwayError` with the line of what is wrong, a key that is written
    twice included.
    """
    try:
        return _construct_document(text, name, is_text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = "; ".join(filter(None, (error.context, error.problem)))
        raise SlipwayError(f"{name}{line}: wrong YAML: {problem}.", f"Correct that line of {name}.") from None
    except yaml.reader.ReaderError as error:
        line_number = text.count("\n", 0, error.position) + 1
        raise SlipwayError(
            f"{name}, line {line_number}: the character U+{error.character:04X} is not allowed in YAML.",
            f"Delete it from {name}.",
        ) from None
    except RecursionError:
        raise SlipwayError(f"{name}: its values are nested too deeply.", f"Correct {name}.") from None
    except ValueError as error:  # such as 2026-02-31, which has the form of a date
        raise SlipwayError(f"{name}: {error}.", f"Put that value of {name} in quotes.") from None


_PLAIN_TEXT_TAG = "!slipway-plain-text"


class _Loader(yaml.SafeLoader):
    """SafeLoader with the tag of `PlainText`."""


def _construct_plain_text(_loader: _Loader, node: ScalarNode) -> PlainText:
    return PlainText(node.value)


_Loader.add_constructor(_PLAIN_TEXT_TAG, _construct_plain_text)


def _construct_document(text: str, name: str, is_text: Callable[[YamlPath], bool] | None) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_duplicate_keys(node, name)
        if is_text:
            _keep_text(loader, node, (), is_text)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_duplicate_keys(node: Node, name: str) -> None:
    """PyYAML would silently take the last one, where Pulumi refuses the file."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            _refuse_duplicate_keys(item, name)
    if not isinstance(node, MappingNode):
        return
    lines: dict[Hashable, int] = {}
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.tag != _MERGE_TAG:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise SlipwayError(
                    f"{name}, line {line}: the key {key.value} is already in line {lines[key.value]}.",
                    "Delete one of them.",
                )
            lines[key.value] = line
        _refuse_duplicate_keys(value, name)


def _keep_text(loader: yaml.SafeLoader, node: Node, path: YamlPath, is_text: Callable[[YamlPath], bool]) -> None:
    """Gives scalars at text paths, and their sibling keys, a tag that keeps them as they are written."""
    if not isinstance(node, MappingNode):
        return
    loader.flatten_mapping(node)  # `<<: *defaults` brings values that are text here as well
    entries: list[tuple[Node, Node]] = []
    for key, value in node.value:
        value_path = (*path, str(key.value))
        if is_text(value_path):
            entries.append((_as_text(key), _as_text(value)))
        else:
            _keep_text(loader, value, value_path, is_text)
            entries.append((key, value))
    node.value = entries


def _as_text(node: Node) -> Node:
    """A copy, for an anchored node may be used elsewhere. Nothing (`A:`), lists and mappings stay what they are."""
    if not isinstance(node, ScalarNode) or node.tag == _NULL_TAG:
        return node
    tag = _STRING_TAG if node.style else _PLAIN_TEXT_TAG
    return ScalarNode(tag, node.value, node.start_mark, node.end_mark, node.style)
