"""JSON schemas of app.yaml and of stack files for editors, and the table of settings for the docs.

All are generated from the models, so that a setting is defined in one place.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slipway.config.app_spec.app import AppSpec
from slipway.config.project import make_private_dir
from slipway.config.setting_sections import SECRETS_DESCRIPTION, SECRETS_KEY, SECTIONS, SETTING_KEYS
from slipway.config.setting_sections.base import SettingSection
from slipway.config.settings import Settings

APP_SCHEMA_FILE = Path("stacks") / "app.schema.json"
STACK_SCHEMA_FILE = Path("stacks") / "stack.schema.json"
UNCOMMITTED_FOLDER = ".slipway"
"""Where the schemas are in a project that does not commit them: `slipway init` and `slipway up` write them there."""
SETTINGS_TABLE_FILE = Path("docs") / "reference" / "settings.md"

_SECRET = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}
_PROJECT_PREFIX = "^[a-z][a-z0-9-]*:"
"""The project's name, or that of another program or provider."""

_TABLE_HEAD = """\
# Settings of a stack

You find here every setting of a stack, its values and its default. `slipway schema --write` writes this page from
`infra/slipway/config/setting_sections`. Write a setting in `stacks/Pulumi.<stack>.yaml` below `config:`, as `tier: dev`
or with the project's name, `my-app:tier: dev`; `pulumi config set tier dev -s STACK` writes the second form. An unknown
key is an error. Keys of your own program need another namespace: `pulumi.Config("my-program")`. `aws:region` and other
keys of providers are Pulumi's.
"""


def generate_files() -> dict[Path, str]:
    """Returns the text of each generated file by its path in the project."""
    return {
        APP_SCHEMA_FILE: _to_json(AppSpec.json_schema()),
        STACK_SCHEMA_FILE: _to_json(stack_file_schema()),
        SETTINGS_TABLE_FILE: settings_table(),
    }


def generate_project_files(root: Path) -> dict[Path, str]:
    """Returns the generated files of the project in `root`: its schemas, and the table where it has the docs for it."""
    has_committed = (root / APP_SCHEMA_FILE).exists() or (root / STACK_SCHEMA_FILE).exists()
    files = {}
    for path, text in generate_files().items():
        is_table = path == SETTINGS_TABLE_FILE
        if not is_table or (root / path.parent).is_dir():
            files[path if is_table or has_committed else Path(UNCOMMITTED_FOLDER, path.name)] = text
    return files


def write_uncommitted_schemas(root: Path) -> None:
    """Writes the schemas of a project that does not commit them.

    Raises:
        SlipwayError: the folder cannot be created.
    """
    for path, text in generate_project_files(root).items():
        if path.parts[0] == UNCOMMITTED_FOLDER:
            (make_private_dir(root / UNCOMMITTED_FOLDER) / path.name).write_text(text, encoding="utf-8")


def _to_json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2) + "\n"


def stack_file_schema() -> dict[str, Any]:
    """Returns the JSON schema of stacks/Pulumi.<stack>.yaml.

    Settings are allowed without and with a project's name. Pulumi writes the second form, with numbers and booleans as
    strings.
    """
    settings = Settings.model_json_schema()
    properties = {key: _clean(schema) for key, schema in settings["properties"].items()}
    properties[SECRETS_KEY] = {
        "description": SECRETS_DESCRIPTION,
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "string"}, _SECRET]},
    }
    definitions = {name: _clean(schema) for name, schema in settings["$defs"].items()}
    written_by_pulumi = {f"{_PROJECT_PREFIX}{key}$": _also_as_string(schema) for key, schema in properties.items()}
    others = f"{_PROJECT_PREFIX}(?!({'|'.join(sorted(SETTING_KEYS))})$)"
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A stack's configuration",
        "type": "object",
        "properties": {
            "config": {
                "type": ["object", "null"],
                "description": "Settings of this stack: docs/reference/settings.md",
                "properties": properties,
                "patternProperties": written_by_pulumi | {others: {"description": "Of a provider or of your program."}},
                "additionalProperties": False,
            },
            "encryptionsalt": {"type": "string", "description": "Written by Pulumi for a passphrase."},
            "secretsprovider": {"type": "string", "description": "Written by Pulumi: what encrypts secrets."},
            "encryptedkey": {"type": "string", "description": "Written by Pulumi: the key that encrypts secrets."},
            "environment": {"description": "Pulumi ESC environments.", "type": ["array", "object"]},
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def _clean(schema: Any) -> Any:
    """The schema without titles, and with descriptions on one line."""
    if isinstance(schema, list):
        return [_clean(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {key: _clean(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if isinstance(cleaned.get("description"), str):
        cleaned["description"] = " ".join(cleaned["description"].split())
    return cleaned


def _also_as_string(schema: dict[str, Any]) -> dict[str, Any]:
    strings = {"boolean": {"enum": ["true", "false"]}, "integer": {"type": "string", "pattern": "^[0-9]+$"}}
    as_string = strings.get(str(schema.get("type")))
    if as_string is None:
        return schema
    description = {"description": schema["description"]} if "description" in schema else {}
    return description | {"anyOf": [schema, as_string]}


def settings_table() -> str:
    """Returns the Markdown page with all settings: one table for each section."""
    schema = Settings.model_json_schema()
    parts = [_TABLE_HEAD]
    for section in SECTIONS:
        rows = [_row(key, schema) for key in _keys(section)]
        if section is SECTIONS[0]:
            rows.append(f"| `{SECRETS_KEY}` | mapping | none | {SECRETS_DESCRIPTION} |")
        heading = f"## {section.__doc__}\n\n| setting | values | default | description |\n|---|---|---|---|\n"
        parts.append(heading + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _keys(section: type[SettingSection]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _row(key: str, schema: dict[str, Any]) -> str:
    setting = schema["properties"][key]
    default = "required" if key in schema.get("required", []) else _format_default(setting.get("default"))
    description = " ".join(setting["description"].split()).replace("|", "\\|")
    return f"| `{key}` | {_format_values(setting)} | {default} | {description} |"


def _format_default(value: Any) -> str:
    if value in ("", None) or value == {} or value == []:
        return "none"
    return f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def _format_values(setting: dict[str, Any]) -> str:
    setting = next((kind for kind in setting.get("anyOf", ()) if kind.get("type") not in (None, "null")), setting)
    allowed = setting.get("enum") or setting.get("items", {}).get("enum")
    if allowed:
        values = ", ".join(f"`{value}`" for value in allowed)
        return f"list of {values}" if "items" in setting else values
    kind = setting.get("type", "mapping")
    if isinstance(kind, list):
        return "text"
    if kind == "boolean":
        return "`true`, `false`"
    if kind == "integer":
        smallest = setting.get("minimum", setting.get("exclusiveMinimum"))
        largest = setting.get("maximum")
        if largest is None and "exclusiveMaximum" in setting:
            largest = setting["exclusiveMaximum"] - 1
        return f"{smallest} to {largest}" if largest is not None else f"{smallest} or more"
    return {"string": "text", "object": "mapping"}.get(str(kind), str(kind))
