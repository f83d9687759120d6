"""docs/examples/kit: what CONTRIBUTING.md shows is applied to the kit as it is, and the changes' own tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import read
from tests.paths import ROOT, copy_project

pytestmark = pytest.mark.skipif(
    not (ROOT / "tests" / "app").is_dir(), reason="the reference app and its pages were removed"
)
EXAMPLES = ROOT / "docs" / "examples" / "kit"
NAMES = ["add-a-setting", "add-a-component", "add-a-command", "add-an-emulated-call"]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipes_example_applies_and_its_tests_pass(name: str, tmp_path: Path) -> None:
    """When `git apply` fails: make the same change to the present code, and `git diff` it into the example."""
    copy = tmp_path / "kit"
    copy_project(copy, "docs", "benchmarks")
    diff = EXAMPLES / f"{name}.diff"
    applied = subprocess.run(["git", "apply", str(diff)], cwd=copy, capture_output=True, text=True)
    assert applied.returncode == 0, applied.stderr
    tests = re.findall(r"^\+\+\+ b/(tests/\S+)", diff.read_text(encoding="utf-8"), re.MULTILINE)
    new = [test for test in tests if not (ROOT / test).exists()]
    assert len(new) == 1
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *new],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": f"{copy}{os.pathsep}{copy / 'infra'}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_each_example_is_in_a_recipe_and_each_recipe_has_one() -> None:
    page = read("CONTRIBUTING.md")
    assert {path.stem for path in EXAMPLES.iterdir()} == set(NAMES)
    recipes = re.findall(r"^## (Add an? \w+(?: \w+)?)$", page, re.MULTILINE)
    assert {title.lower().replace(" ", "-") for title in recipes} == set(NAMES)
    for name in NAMES:
        section = page.partition(f"## {name.replace('-', ' ').capitalize()}\n")[2].partition("\n## ")[0]
        assert f"docs/examples/kit/{name}.diff" in section
