"""Reads stacks/Pulumi.<stack>.yaml, and selects the project's own settings from a stack's configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root
from slipway.config.setting_sections import ENVIRONMENT_KEY, SETTING_KEYS, TEXT_KEYS
from slipway.config.text_files import PlainText, YamlPath, read_yaml_mapping

CONFIG_KEY = "config"
"""The key of a stack file below which its settings stand."""

_UNCHANGED_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})|-?(0|[1-9]\d{0,9})\.\d{0,4}[1-9]")
"""Numbers that Pulumi writes as they are written: Go prints 64-bit integers and floats without an exponent."""
_CHANGED_SCALAR = re.compile(
    r"""[-+]?(0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+)  # other bases
    |[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?  # 1.10, 1_000, 1e5
    |[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)
    |True|TRUE|False|FALSE
    |\d{4}-\d{1,2}-\d{1,2}(([Tt]|[ \t]+)\d{1,2}:.*)?""",
    re.VERBOSE,
)
"""Scalars that Pulumi reads as a number, boolean or date, unless `_UNCHANGED_NUMBER` matches."""


def stack_file_path(stack: str, root: Path | None = None) -> Path:
    """Returns the path of a stack's file, whether it exists or not."""
    return (root or project_root()) / "stacks" / f"Pulumi.{stack}.yaml"


def list_stack_files(root: Path | None = None) -> dict[str, Path]:
    """Returns the files of all stacks that have one, by the stack's name."""
    files = ((root or project_root()) / "stacks").glob("Pulumi.*.yaml")
    return {file.name.removeprefix("Pulumi.").removesuffix(".yaml"): file for file in sorted(files)}


def read_stack_config(stack: str, root: Path | None = None) -> dict[str, Any]:
    """Returns the configuration in a stack's file, with its keys as they are written there: `tier`, `shop:tier`,
    `aws:region`. Text settings and environment variables have their text as it is written.

    Raises `SlipwayError` where the file is missing or wrong, and for an unquoted text that Pulumi would change.
    """
    root = root or project_root()
    path = stack_file_path(stack, root)
    name = str(path.relative_to(root))
    if not path.exists():
        raise SlipwayError(
            f"There is no stack file {name}.", f"Stacks with a file: {', '.join(list_stack_files(root)) or 'none'}."
        )
    config = read_yaml_mapping(path, name, _is_text).get(CONFIG_KEY) or {}
    if not isinstance(config, dict):
        raise SlipwayError(
            f"{name}: {CONFIG_KEY} is not a mapping of settings to values.", "Write it as lines of `key: value`."
        )
    return {str(key): _check_text(value, str(key), name) for key, value in config.items()}


class _Dumper(yaml.SafeDumper):
    """SafeDumper with quotes where Pulumi would read a string as something else."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _CHANGED_SCALAR.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump_stack_file(document: Mapping[str, Any]) -> str:
    """Returns the YAML of a generated stack file, such as a preview's, from which Pulumi reads the same values."""
    return yaml.dump(dict(document), Dumper=_Dumper, allow_unicode=True, sort_keys=False)


def _is_text(path: YamlPath) -> bool:
    if path[0] != CONFIG_KEY or len(path) not in (2, 3):
        return False
    setting = path[1].rpartition(":")[2]
    return setting in TEXT_KEYS if len(path) == 2 else setting == ENVIRONMENT_KEY


def _check_text(value: Any, key: str, source: str) -> Any:
    """Returns the value without `PlainText`."""
    if isinstance(value, dict):
        return {str(name): _check_text(item, f"{key}.{name}", source) for name, item in value.items()}
    if not isinstance(value, PlainText):
        return value
    if _CHANGED_SCALAR.fullmatch(value) and not _UNCHANGED_NUMBER.fullmatch(value):
        raise SlipwayError(
            f"{source}: {key} is {value} without quotes, which Pulumi reads as a number, boolean or date and writes "
            "back as another text.",
            f'Put it in quotes: {key.rpartition(".")[2]}: "{value}"',
        )
    return str(value)


def select_settings(config: Mapping[str, Any], project: str, source: str) -> dict[str, Any]:
    """Returns the project's own settings by their names without the project's, `shop:tier` as `tier`.

    Raises `SlipwayError` for a setting with the name of another project, which Pulumi would ignore, for one that is
    written in both forms, and for one without a value.
    """
    settings: dict[str, Any] = {}
    foreign: list[str] = []
    for key, value in config.items():
        namespace, _, name = key.rpartition(":")
        if namespace in ("", project):
            if name in settings:
                raise same_setting_error(source, name, project)
            if value is None:
                raise SlipwayError(f"{source}: {key} has no value.", f"Give {key} a value, or delete the line.")
            settings[name] = value
        elif name in SETTING_KEYS and not _is_provider(namespace):
            foreign.append(key)
    if foreign:
        namespace = foreign[0].rpartition(":")[0]
        raise SlipwayError(
            f"{source}: {', '.join(foreign)} belong to another project than {project}, which Pulumi.yaml names: they "
            "would have no effect.",
            f"Replace {namespace}: by {project}: in that file, or give the keys without a project's name.",
        )
    return settings


def same_setting_error(source: str, name: str, project: str) -> SlipwayError:
    """The error for a setting that a file has with the project's name and without it."""
    return SlipwayError(f"{source}: {name} and {project}:{name} are the same setting.", "Delete one of them.")


def _is_provider(namespace: str) -> bool:
    """Whether a namespace configures Pulumi or one of its providers that are installed, as `aws` in `aws:region`."""
    package = f"pulumi_{namespace.replace('-', '_')}"
    return namespace == "pulumi" or (package.isidentifier() and find_spec(package) is not None)
