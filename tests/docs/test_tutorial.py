"""The tutorial's app and what `slipway init` says of it. The rest of the tutorial is a real run on the emulated AWS."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipway.cli.main import app
from tests.docs.pages import code_blocks, read

BLOCKS = code_blocks(read("docs/tutorial.md"))
PYTHON = [text for language, text in BLOCKS if language == "python"]
INIT = next(text for language, text in BLOCKS if "slipway init" in text)


def lines_of(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "main.py").write_text(PYTHON[0])
    (folder / "requirements.txt").write_text(next(text for language, text in BLOCKS if language == "text"))
    return folder


def test_init_reads_the_tutorials_app_as_the_tutorial_says(shop: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(shop), "--workflows", "--yes", "--dry-run"])
    assert done.exit_code == 0, done.output
    printed = lines_of(done.output)
    found, _, files = INIT.partition("Files:")
    missing = [line for line in lines_of(found)[1:] if line not in printed]
    assert missing == []
    written = [line.split()[0] for line in lines_of(files) if line != "..."]
    assert written
    assert [
        name for name in written if f"  {name}" not in {line.rpartition("  would be")[0].rstrip() for line in printed}
    ] == []


def test_the_tutorials_python_is_valid() -> None:
    assert len(PYTHON) == 3
    for text in PYTHON:
        compile(text, "main.py", "exec")
