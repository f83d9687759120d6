"""What is generated from the models, JSON schemas and the table of settings, is what is committed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from slipway.cli.main import app
from slipway.config import project
from slipway.config.schemas import generate_files, stack_file_schema
from slipway.config.setting_sections import SECTIONS, SETTING_KEYS
from slipway.config.settings import Settings
from tests.paths import FIXTURES, ROOT, STACK_FILES

FILES = {str(path): text for path, text in generate_files().items()}


@pytest.mark.parametrize("name", FILES)
def test_the_committed_file_is_the_generated_one(name: str) -> None:
    """When this fails on purpose: make schema, and commit."""
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name]


def test_every_setting_is_in_one_section_with_a_description() -> None:
    names = [name for section in SECTIONS for name in section.model_fields]
    assert sorted(names) == sorted(Settings.model_fields)
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("folder", [ROOT, FIXTURES], ids=["repository", "tests"])
def test_a_projects_own_file_is_ten_lines_at_most_and_repeats_no_setting(folder: Path) -> None:
    text = (folder / "Pulumi.yaml").read_text()
    assert len(text.splitlines()) <= 10
    assert "config" not in yaml.safe_load(text)


def config_schema() -> Any:
    return stack_file_schema()["properties"]["config"]


def test_editors_know_every_setting_with_and_without_the_projects_name() -> None:
    schema = config_schema()
    assert set(schema["properties"]) == SETTING_KEYS
    for key in SETTING_KEYS:
        matching = [pattern for pattern in schema["patternProperties"] if re.search(pattern, f"my-shop:{key}")]
        assert matching == [f"^[a-z][a-z0-9-]*:{key}$"]
    (of_provider,) = [pattern for pattern in schema["patternProperties"] if re.search(pattern, "aws:region")]
    assert schema["patternProperties"][of_provider] == {"description": "Of a provider or of your program."}
    assert schema["properties"]["tier"]["enum"] == ["dev", "staging", "prod"]
    assert schema["properties"]["zones"] == {
        "default": 2,
        "description": "Number of availability zones.",
        "maximum": 3,
        "minimum": 2,
        "type": "integer",
    }
    assert schema["additionalProperties"] is False


def test_numbers_and_booleans_are_strings_where_pulumi_writes_them() -> None:
    patterns = config_schema()["patternProperties"]
    assert {"enum": ["true", "false"]} in patterns["^[a-z][a-z0-9-]*:waf$"]["anyOf"]
    assert {"type": "string", "pattern": "^[0-9]+$"} in patterns["^[a-z][a-z0-9-]*:zones$"]["anyOf"]


@pytest.mark.parametrize("path", STACK_FILES, ids=lambda path: path.name)
def test_stack_files_name_the_schema_and_have_keys_of_it(path: Path) -> None:
    text = path.read_text()
    schema = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / schema).resolve() == ROOT / "stacks" / "stack.schema.json"
    assert set(yaml.safe_load(text)) <= set(stack_file_schema()["properties"])


def test_the_command_says_what_differs_and_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    monkeypatch.chdir(tmp_path)
    project._find_project.cache_clear()
    runner = CliRunner()
    before = runner.invoke(app, ["schema"])
    assert "slipway schema --write" in str(before.exception)
    assert ".slipway/stack.schema.json: differs" in before.output
    assert not (tmp_path / ".slipway").exists()
    assert runner.invoke(app, ["schema", "--write"]).exit_code == 0
    assert json.loads((tmp_path / ".slipway" / "stack.schema.json").read_text()) == stack_file_schema()
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "app.schema.json").write_text("{}")  # a project that commits them
    assert "stacks/app.schema.json: differs" in runner.invoke(app, ["schema"]).output
    assert runner.invoke(app, ["schema", "--write"]).exit_code == 0
    assert not (tmp_path / "docs").exists()  # the table is the kit's
    after = runner.invoke(app, ["schema"])
    assert (after.exit_code, after.output) == (0, "All files are up to date.\n")
