"""Changes single settings in stacks/Pulumi.<stack>.yaml and keeps its comments, order and quotes.

`pulumi config set` removes comments on keys that are written without the project's name.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root, read_project_name
from slipway.config.stack_config import CONFIG_KEY, read_stack_config, same_setting_error, stack_file_path
from slipway.config.text_files import read_text_file, read_yaml_mapping

SettingScalar = str | int | bool
SALT_KEY = "encryptionsalt"
"""The key below which Pulumi writes what a passphrase is hashed with."""


def set_config_value(stack: str, key: str, value: SettingScalar, root: Path | None = None) -> None:
    """Sets the setting `key`, such as `rollbackTo`, in the stack's file.

    The key keeps its form, with or without the project's name; a new one gets the form of the other settings. Raises
    `SlipwayError` where the file is missing, wrong or cannot be written; it is then unchanged.
    """
    root = root or project_root()
    own_key = _find_key(stack, key, root)
    path = stack_file_path(stack, root)
    text = read_text_file(path, _name(path, root))
    _replace_file(path, _set_value(text, own_key or _new_key(stack, key, root), value), _name(path, root))


def remove_config_value(stack: str, key: str, root: Path | None = None) -> bool:
    """Removes the setting `key` from the stack's file, and no comment. Returns whether the file had it.

    Raises `SlipwayError` as `set_config_value` does.
    """
    root = root or project_root()
    own_key = _find_key(stack, key, root)
    if not own_key:
        return False
    path = stack_file_path(stack, root)
    text = read_text_file(path, _name(path, root))
    _replace_file(path, _remove_value(text, own_key), _name(path, root))
    return True


def restore_stack_file(stack: str, text: str, root: Path | None = None) -> None:
    """Restores the file's earlier text, with the encryption salt that Pulumi has added since.

    `pulumi stack init` rewrites the whole file, without comments on keys without the project's name. Raises
    `SlipwayError` if the file cannot be read or written.
    """
    root = root or project_root()
    path = stack_file_path(stack, root)
    name = _name(path, root)
    salt = read_yaml_mapping(path, name).get(SALT_KEY)
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    if salt and isinstance(document, yaml.MappingNode) and not document.flow_style:
        if any(key.value == SALT_KEY for key, _ in document.value):
            edited, editor = _load_for_editing(text)
            edited[SALT_KEY] = salt
            text = _dump(edited, editor, text)
        else:
            lines = text.splitlines(keepends=True)
            line_end = "\r\n" if "\r\n" in text else "\n"
            lines.insert(document.value[0][0].start_mark.line, f"{SALT_KEY}: {salt}{line_end}")
            text = "".join(lines)
        _replace_file(path, text, name)


def set_encrypted_value(
    stack: str, key: str, name: str, encrypted: str, encryption: Mapping[str, str], root: Path | None = None
) -> None:
    """Sets the entry `name` of the setting `key`, such as `secrets`, to a value that the stack's key encrypted.

    `encryption`: top-level keys that the file needs for it and may not have yet, such as `encryptionsalt`. Raises
    `SlipwayError` as `set_config_value` does.
    """
    root = root or project_root()
    own_key = _find_key(stack, key, root) or _new_key(stack, key, root)
    path = stack_file_path(stack, root)
    former = read_text_file(path, _name(path, root))
    document, editor = _load_for_editing(former)
    for top_level, value in encryption.items():
        document.setdefault(top_level, value)
    if document.get(CONFIG_KEY) is None:
        document[CONFIG_KEY] = CommentedMap()
    entries = document[CONFIG_KEY].setdefault(own_key, CommentedMap())
    entries[name] = CommentedMap(secure=encrypted)
    _replace_file(path, _dump(document, editor, former), _name(path, root))


def remove_entry(stack: str, key: str, name: str, root: Path | None = None) -> None:
    """Removes the entry `name` of the setting `key`, and the setting when it was the last one.

    Raises `SlipwayError` as `set_config_value` does.
    """
    root = root or project_root()
    own_key = _find_key(stack, key, root)
    path = stack_file_path(stack, root)
    former = read_text_file(path, _name(path, root))
    document, editor = _load_for_editing(former)
    entries = document[CONFIG_KEY][own_key] if own_key else {}
    if set(entries) <= {name}:
        remove_config_value(stack, key, root)
        return
    del entries[name]
    _replace_file(path, _dump(document, editor, former), _name(path, root))


def _name(path: Path, root: Path) -> str:
    return str(path.relative_to(root))


def _find_key(stack: str, key: str, root: Path) -> str:
    """The form in which the stack's file has `key`, with or without the project's name; empty for none."""
    config = read_stack_config(stack, root)
    prefixed = f"{read_project_name(root)}:{key}"
    forms = [form for form in (key, prefixed) if form in config]
    if len(forms) > 1:
        raise same_setting_error(_name(stack_file_path(stack, root), root), key, read_project_name(root))
    return forms[0] if forms else ""


def _new_key(stack: str, key: str, root: Path) -> str:
    prefix = f"{read_project_name(root)}:"
    return prefix + key if any(name.startswith(prefix) for name in read_stack_config(stack, root)) else key


def _set_value(text: str, key: str, value: SettingScalar) -> str:
    document, editor = _load_for_editing(text)
    if document.get(CONFIG_KEY) is None:
        document[CONFIG_KEY] = CommentedMap()
    document[CONFIG_KEY][key] = value
    return _dump(document, editor, text)


def _load_for_editing(text: str) -> tuple[CommentedMap, YAML]:
    """The document with its comments and quotes, and what writes it with the indentation of `text`."""
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 10_000
    editor.explicit_start = re.match(r"(\s*(#.*)?\n)*---", text) is not None
    mapping_indent, sequence_offset = _find_indentation(yaml.compose(text, Loader=yaml.SafeLoader))
    editor.indent(mapping=mapping_indent, sequence=sequence_offset + 2, offset=sequence_offset)
    document = editor.load(text.replace("\r\n", "\n"))
    return (CommentedMap() if document is None else document), editor


def _dump(document: CommentedMap, editor: YAML, former_text: str) -> str:
    output = io.StringIO()
    editor.dump(document, output)
    text = output.getvalue()
    return text.replace("\n", "\r\n") if "\r\n" in former_text else text


def _find_indentation(document: yaml.Node | None) -> tuple[int, int]:
    """The columns by which the first nested block mapping, and the first block sequence, are indented; else 2 and 2."""
    mapping_indent = 0
    sequence_offset = -1
    nodes = [document]
    while nodes:
        node = nodes.pop(0)
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            continue
        for key, value in node.value:
            offset = value.start_mark.column - key.start_mark.column
            if isinstance(value, yaml.MappingNode) and not value.flow_style and not mapping_indent:
                mapping_indent = offset
            if isinstance(value, yaml.SequenceNode) and not value.flow_style and sequence_offset < 0:
                sequence_offset = offset
            nodes.append(value)
    return mapping_indent or 2, 2 if sequence_offset < 0 else sequence_offset


def _remove_value(text: str, key: str) -> str:
    """ruamel.yaml would remove the comments before the next key as well, for it keeps them at the one before."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    config = _find_entry(document, CONFIG_KEY)[1]
    key_node, value_node = _find_entry(config, key)
    if not isinstance(config, yaml.MappingNode) or config.flow_style:
        edited, editor = _load_for_editing(text)
        del edited[CONFIG_KEY][key]
        return _dump(edited, editor, text)
    lines = text.splitlines(keepends=True)
    first, last = key_node.start_mark.line, _last_line(value_node)
    return "".join(lines[:first] + lines[last + 1 :])


def _find_entry(mapping: Any, key: str) -> tuple[yaml.Node, yaml.Node]:
    return next((name, value) for name, value in mapping.value if name.value == key)


def _last_line(node: yaml.Node) -> int:
    """The number of a value's last line, from 0; the end mark of a block is behind the comments after it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _last_line(node.value[-1])
    ends_before_line = node.end_mark.column == 0 and node.end_mark.line > node.start_mark.line
    return int(node.end_mark.line) - (1 if ends_before_line else 0)


def _replace_file(path: Path, text: str, name: str) -> None:
    """Replaces the file atomically and keeps its permissions. A symbolic link stays one."""
    target = path.resolve()
    temporary = ""
    try:
        mode = target.stat().st_mode
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = file.name
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            if temporary:
                Path(temporary).unlink()
        raise SlipwayError(
            f"{name} cannot be written: {error.strerror or error}.", f"Check the permissions: ls -ld {path.parent}"
        ) from None
