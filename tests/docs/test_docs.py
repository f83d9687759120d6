"""What the documentation names exists: commands and their options, paths, settings, links."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml

from slipway.cli.main import app
from slipway.config.schemas import generate_files
from tests.docs.pages import FENCE, NAMES, anchors, code_blocks, code_spans, links, prose, read
from tests.paths import ROOT

pytestmark = pytest.mark.skipif(
    not (ROOT / "tests" / "app").is_dir(), reason="the reference app and its pages were removed"
)
ROOT_COMMAND = typer.main.get_command(app)
PROGRAM = re.compile(r"(?:^|(?<!-C)[\s(])(?:uv run --project infra (?:--no-sync )?|\.venv/bin/)?slipway(?= )")
COMMAND_BREAKS = {"|", "&&", ";", ">", "||", "#"}
GENERATED_ELSEWHERE = ("docs/reference/settings.md",)
"""Pages that another program writes."""
PATH = re.compile(
    r"(?:infra|app|docs|docker|stacks|tests|tools|benchmarks|\.github|\.ci)/[\w./-]+"
    r"|[\w-]+\.(?:toml|lock)|Pulumi\.yaml|Makefile"
)
OTHER_KEYS = {
    "metricsPort",
    "jobTimeout",
    "releasePlan",
    "previewSeed",
    "maxTasks",
    "stopTimeout",
    "requestTimeout",
    "staticPaths",
    "alsoInProd",
}
"""Keys of stacks/app.yaml and of offHours, and ECS's own of a container."""
KEYS_OF_OTHER_TOOLS = {"healthCheckPath", "maxTaskCount", "taskRoleArn"}
"""Of ECS Express Mode, on the page about coming from it."""
OF_A_USER = (
    "infra/uv.lock",
    "infra/pyproject.toml",
    "infra/.venv",
    "app/.venv",
    "poetry.lock",
)
"""Paths of a project that `slipway init` set up, and of what is made on a machine."""


@pytest.mark.parametrize("page", ["command_reference", "error_reference", "resource_reference"])
def test_a_generated_page_is_up_to_date(page: str) -> None:
    """When this fails: .venv/bin/python tools/PAGE"""
    done = subprocess.run([sys.executable, ROOT / "tools" / page, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_of_settings_is_up_to_date() -> None:
    """When this fails: make schema"""
    for path, text in generate_files().items():
        if path.suffix == ".md":
            assert read(str(path)) == text


def slipway_calls(text: str) -> Iterator[list[str]]:
    """The words after `slipway` of every command in code blocks and code spans."""
    lines = [line for language, block in code_blocks(text) if language != "yaml" for line in block.splitlines()]
    for line in [*lines, *code_spans(text)]:
        if not re.search(r"(^|[\s(/])slipway ", line) or line.lstrip().startswith(("#", "▸", "error")):
            continue
        for match in PROGRAM.finditer(line):
            lexer = shlex.shlex(line[match.end() :], posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            lexer.commenters = "#"
            words: list[str] = []
            try:
                for word in lexer:
                    if word in COMMAND_BREAKS:
                        break
                    words.append(word)
            except ValueError:
                pass  # a quotation that goes on in the next line: what was read so far is the command
            yield words


def wrong_in(words: list[str]) -> str:
    """What is wrong with a call of `slipway`; empty where nothing is."""
    command: Any = ROOT_COMMAND
    rest = list(words)
    while getattr(command, "commands", None):
        if not rest or not re.fullmatch(r"[a-z]+", rest[0]):
            return ""  # `slipway COMMAND --help`, or a group that is only named
        name = rest.pop(0)
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    known = {spelling for parameter in command.params for spelling in [*parameter.opts, *parameter.secondary_opts]}
    for word in rest:
        if word.strip("[]") == "--":  # what follows is another program's
            break
        option = word.partition("=")[0].strip("[]")
        if option.startswith("-") and option.partition("|")[0] not in {*known, "--help"}:
            return f"no option {option}"
    return ""


@pytest.mark.parametrize("page", NAMES)
def test_each_slipway_command_exists_with_its_options(page: str) -> None:
    wrong = [f"slipway {' '.join(words)}: {wrong_in(words)}" for words in slipway_calls(read(page)) if wrong_in(words)]
    assert wrong == []


def test_a_command_or_option_that_is_not_there_is_found() -> None:
    text = "`slipway plan dev --offline`\n```\nslipway lift\nslipway cost dev --json\n```\n"
    assert [wrong_in(words) for words in slipway_calls(text)] == ["no command lift", "", "no option --offline"]


@pytest.mark.parametrize("page", NAMES)
def test_each_path_in_backticks_exists(page: str) -> None:
    missing = []
    for span in code_spans(read(page)):
        name = span.rstrip("/")
        if not PATH.fullmatch(name) or any(mark in name for mark in "*<"):
            continue
        if name.startswith(OF_A_USER) or name.rpartition("/")[2] == "Pulumi.yaml":
            continue
        if not (ROOT / name).exists():
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", NAMES)
def test_each_link_inside_the_repository_resolves(page: str) -> None:
    wrong = []
    for link in links(read(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        lacks_anchor = bool(anchor) and target.suffix == ".md" and target.exists() and anchor not in anchors(target)
        if not target.exists() or lacks_anchor:
            wrong.append(link)
    assert wrong == []


@pytest.fixture(scope="module")
def known_settings() -> set[str]:
    """Every key of a stack file."""
    schema = next(text for path, text in generate_files().items() if path.name == "stack.schema.json")
    keys = set(yaml.safe_load(schema)["properties"]["config"]["properties"])
    assert {"tier", "databaseClass"} <= keys
    return keys


def settings_in(text: str) -> set[str]:
    """The keys that a page names: `pulumi config set KEY`, and `key` or `key: value` in backticks, in camelCase."""
    everything = "\n".join([*(block for _, block in code_blocks(text)), *code_spans(text)])
    keys = set()
    for arguments in re.findall(r"pulumi config (?:set|rm) ([^\n#&]+)", everything):
        words = [word for word in shlex.split(arguments.replace("…", "x"), posix=True) if not word.startswith("-")]
        keys.add(re.split(r"[.\[]", words[0])[0] if words else "")
    keys |= {key for span in code_spans(text) for key in re.findall(r"^([a-z]+[A-Z]\w*)(?:$|: )", span)}
    return keys - {""}


@pytest.mark.parametrize("page", [name for name in NAMES if name not in GENERATED_ELSEWHERE])
def test_each_setting_that_a_page_sets_exists(page: str, known_settings: set[str]) -> None:
    outputs = settings_in(read("docs/reference/outputs.md")) - known_settings
    assert settings_in(read(page)) - known_settings - OTHER_KEYS - KEYS_OF_OTHER_TOOLS - outputs == set()


def test_a_setting_that_is_not_there_is_found() -> None:
    commands = "pulumi config set --secret --path 'secrets.KEY' x -s dev\npulumi config rm gone"
    text = f"`databaseSize: big` and `cacheKind`\n```\n{commands}\n```\n"
    assert settings_in(text) == {"databaseSize", "cacheKind", "secrets", "gone"}


def test_each_page_that_code_and_configuration_name_exists() -> None:
    folders = ("infra", "app", "docker", "stacks", ".github", "benchmarks")
    suffixes = {".py", ".yaml", ".yml", ".json", ".toml"}
    named: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in suffixes and ".venv" not in path.parts:
                text = path.read_text(encoding="utf-8", errors="replace")
                named |= set(re.findall(r"(?<![\w/.])docs/[\w/-]+\.md", text))
    assert "docs/runbooks.md" in named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_sites_navigation() -> None:
    navigation = read("mkdocs.yml").partition("\nnav:\n")[2]
    listed = set(re.findall(r"[\w./-]+\.md", navigation))
    pages = {name.removeprefix("docs/") for name in NAMES if name.startswith("docs/")}
    assert listed == pages


@pytest.mark.parametrize("page", [name for name in NAMES if name.startswith("docs/")])
def test_a_page_begins_with_a_title_and_a_sentence(page: str) -> None:
    lines = [line for line in read(page).splitlines() if line.strip()]
    assert lines[0].startswith("# ")
    assert re.match(r"[A-Z`\[]", lines[1]), lines[1]


@pytest.mark.parametrize("page", NAMES)
def test_lists_and_tables_begin_after_an_empty_line(page: str) -> None:
    """GitHub takes them without one, and MkDocs makes a paragraph of them."""
    begins = re.compile(r"^(?![-|#]|\d+\. | |$)[^\n]+\n(?:- |1\. |\| )[^\n]*", re.MULTILINE)
    assert begins.findall(FENCE.sub("\n", read(page))) == []


def test_the_runbooks_search_for_the_level_that_the_app_writes() -> None:
    formatter = (ROOT / "app" / "core" / "observability" / "logging.py").read_text(encoding="utf-8")
    assert ".levelname.lower()" in formatter
    assert re.search(r'"level": "[A-Z]', read("docs/runbooks.md")) is None


def test_the_prose_has_no_private_words() -> None:
    """When this fails: tools/prose names line and word."""
    tool = runpy.run_path(str(ROOT / "tools" / "prose"))
    assert [finding for name in NAMES for finding in tool["check_markdown"](prose(read(name)), name)] == []
