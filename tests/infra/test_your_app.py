"""Another app than the reference one: how little it takes to describe, and that the kit's own tests stay green."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra import app
from infra.app import App
from infra.settings import ROOT, Settings

GUIDE = (ROOT / "docs" / "your-app.md").read_text(encoding="utf-8")
BARE, SYNC_ORM = re.findall(r"^ *```yaml\n(.*?)^ *```$", GUIDE, re.MULTILINE | re.DOTALL)
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".slipway", "__pycache__", ".*_cache")
READ_BY_ITSELF = "test_app_file or test_contract or test_layout or test_settings or test_build_context"
"""What reads stack files, folders or the app's file by itself; all else stands on fixtures."""


@pytest.mark.parametrize(("text", "most"), [(BARE, 6), (SYNC_ORM, 15)])
def test_an_app_is_described_in_a_few_lines(text: str, most: int) -> None:
    assert len(text.splitlines()) <= most


@pytest.mark.parametrize(("text", "folder"), [(BARE, "bare"), (SYNC_ORM, "sync_orm")])
def test_what_the_guide_says_fits_every_stack_file(text: str, folder: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "apps" / folder, tmp_path / "backend")
    for stack in ("local", "dev", "staging", "prod"):
        found = App.of(yaml.safe_load(text), Settings.from_files(stack), tmp_path)
        assert list(found.processes) == ["web"]


def test_the_guide_names_every_key_and_every_value() -> None:
    in_ticks = {word.lstrip(".") for word in re.findall(r"`([^`\n]+)`", GUIDE)} | set(re.findall(r"\.\w+", GUIDE))
    keys = [field.alias or name for part in (App, app.Process) for name, field in part.model_fields.items()]
    assert [key for key in keys if key not in in_ticks and not any(w.startswith(f"{key}.") for w in in_ticks)] == []
    assert [
        value for value in app.VALUES if value not in in_ticks and f".{value.partition('.')[2]}" not in in_ticks
    ] == []


def test_without_the_reference_app_and_with_another_the_kits_tests_are_green(tmp_path: Path) -> None:
    copy = tmp_path / "shop"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
    for folder in ("app", "tests/app"):
        shutil.rmtree(copy / folder, ignore_errors=True)
    shutil.copytree(copy / "tests" / "apps" / "bare", copy / "backend", dirs_exist_ok=True)
    (copy / "stacks" / "app.yaml").write_text(BARE.replace("   ", ""))
    for name in ("Pulumi.yaml", "pyproject.toml"):
        path = copy / name
        path.write_text(re.sub(r'^name(: |\s*=\s*")slipway', r"name\1shop", path.read_text(), flags=re.MULTILINE))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/infra", "-k", READ_BY_ITSELF]
    done = subprocess.run(
        command, cwd=copy, capture_output=True, text=True, env={"PYTHONPATH": str(copy), "PATH": "/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the reference app was removed" in done.stdout
