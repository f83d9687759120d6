"""Each block of commands on a page is run by a test, or says why not.

Blocks of `pulumi config set`, with the `pulumi up` after them, run here: on copies of the stack files, as a plan.
So do the commands that need neither an account nor a running stack. Every other block has a comment before it,
`<!-- run by tests/local/test_previews.py -->` or `<!-- not run: it needs an AWS account -->`.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from slipway.cli.main import app
from tests.docs.pages import NAMES, read
from tests.paths import FIXTURES, ROOT

pytestmark = pytest.mark.skipif(
    not (ROOT / "tests" / "app").is_dir(), reason="the reference app and its pages were removed"
)
GENERATED = "docs/reference/"
BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<mark>[^\n]*?) -->\n\n? *)?```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"run by (?P<tests>tests/[\w/]+\.py(?:, tests/[\w/]+\.py)*)(?:; not run: \w.+)?|not run: .+")
PLANNED = {"up", "preview"}
"""Commands of Pulumi that are a plan here."""
OFFLINE = {"plan", "cost", "check", "diagram"}
"""Commands of slipway that need neither an account nor a running stack."""


STACKS = {"local", "dev", "staging", "prod"}


@dataclass(frozen=True)
class Block:
    """Commands between two fences."""

    page: str
    mark: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command; `&&` separates two. In a console block a command begins with `$`."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if any(line.lstrip().startswith("$ ") for line in lines):
            lines = [line.lstrip().removeprefix("$ ") for line in lines if line.lstrip().startswith("$ ")]
        found = []
        for line in lines:
            words = shlex.split(line, comments=True)
            while "&&" in words:
                found.append(words[: words.index("&&")])
                words = words[words.index("&&") + 1 :]
            found.append(words)
        return [words for words in found if words]

    @property
    def runs_here(self) -> bool:
        """Whether each of its commands is a setting, a plan, or needs no account."""
        return "…" not in self.text and "..." not in self.text and all(map(_runs_here, self.commands))


def _runs_here(words: list[str]) -> bool:
    if words[0] == "pulumi":
        return words[1] in PLANNED or (words[1] == "config" and words[2] in ("set", "rm") and "--secret" not in words)
    return words[0] == "slipway" and words[1] in OFFLINE


def blocks(page: str, text: str) -> list[Block]:
    """The blocks of commands of a page."""
    found = [match for match in BLOCK.finditer(text) if match["language"] in ("", "sh", "console")]
    return [Block(page, match["mark"] or "", match["text"]) for match in found]


BLOCKS = [block for name in NAMES if not name.startswith(GENERATED) for block in blocks(name, read(name))]


def configure(folder: Path, words: list[str]) -> None:
    """Does to a stack file what `pulumi config set` and `rm` do. A value is written as text, as Pulumi writes it."""
    stack = words[words.index("-s") + 1]
    file = folder / "stacks" / f"Pulumi.{stack}.yaml"
    data = yaml.safe_load(file.read_text())
    rest = [word for word in words[3:] if word not in ("--path", "-s", stack)]
    keys = re.findall(r"[^.\[\]]+", rest[0]) if "--path" in words else [rest[0]]
    target = data["config"]
    for key in keys[:-1]:
        target = target.setdefault(key, [] if keys[-1].isdigit() else {})
    if words[2] == "rm":
        target.pop(keys[-1], None)
    elif isinstance(target, list):
        target.append(rest[1])
    else:
        target[keys[-1]] = rest[1]
    file.write_text(yaml.safe_dump(data))


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=f"{block.page}-{block.text[:40]}") for block in BLOCKS if block.runs_here]
)
def test_settings_and_offline_commands_work_as_they_stand(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(FIXTURES, folder)
    shutil.copytree(ROOT / "tests" / "apps" / "bare", tmp_path / "apps" / "bare")
    monkeypatch.chdir(folder)
    arguments: list[str] = []
    for words in block.commands:
        if words[:2] == ["pulumi", "config"]:
            configure(folder, words)
        else:
            arguments = ["plan", words[words.index("-s") + 1]] if words[0] == "pulumi" else words[1:]
    done = CliRunner().invoke(app, arguments)  # the last one: it sees what all settings before it make together
    assert done.exit_code == 0, f"{block.text}\n{done.output}\n{done.exception}"


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS}))
def test_every_other_block_of_commands_names_its_test_or_says_why_it_has_none(page: str) -> None:
    """When this fails: write `<!-- run by tests/... -->` or `<!-- not run: ... -->` before the block."""
    others = [block for block in BLOCKS if block.page == page and not block.runs_here]
    wrong = [block.text for block in others if not MARK.fullmatch(block.mark)]
    assert wrong == []


def mentions(source: str, page: str, words: list[str]) -> bool:
    """Whether a test seems to run a command: it reads the page, or has the program's subcommands as words."""
    if f'"{Path(page).name}"' in source or page in source:
        return True
    if words[:4] == ["uv", "run", "--project", "infra"]:
        words = words[4:]
    if words[0] != "slipway":
        return True
    subcommands = [word for word in words[1:3] if re.fullmatch(r"[a-z]+", word) and word not in STACKS]
    return all(re.search(rf"[\"' ]{word}[\"' ]", source) for word in subcommands)


def test_the_named_tests_run_these_commands() -> None:
    wrong = []
    for block in BLOCKS:
        mark = MARK.fullmatch(block.mark)
        if mark is None or not mark["tests"]:
            continue
        source = "".join((ROOT / name).read_text(encoding="utf-8") for name in mark["tests"].split(", "))
        wrong += [" ".join(words) for words in block.commands if not mentions(source, block.page, words)]
    assert wrong == []


def test_a_block_that_no_test_runs_is_found() -> None:
    mark = "<!-- run by tests/local/test_previews.py -->"
    page = f"```\nslipway scale prod web=4\n```\n{mark}\n```sh\nslipway scale a web=4\n```\n"
    unmarked, marked = blocks("a.md", page)
    assert (unmarked.mark, unmarked.runs_here) == ("", False)
    source = (ROOT / "tests" / "local" / "test_previews.py").read_text()
    assert not mentions(source, marked.page, marked.commands[0])
    assert mentions(source, marked.page, ["slipway", "preview", "create", "pr-1"])


def test_a_wrong_setting_in_a_block_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks("a.md", "```\npulumi config set --path 'wafCountOnly[0]' rates -s prod\npulumi up -s prod\n```\n")
    assert block.runs_here
    with pytest.raises(AssertionError, match="wafCountOnly"):
        test_settings_and_offline_commands_work_as_they_stand(block, tmp_path, monkeypatch)
