"""docs/tutorial.md, followed to the letter: its commands in their order, and what it says that they print."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway_local.docker_engine import stop_managed_docker
from tests.docs.pages import FENCE, read
from tests.local.clone import COMMAND_SECONDS
from tests.paths import ROOT
from tests.ports import free_port

pytestmark = pytest.mark.e2e

PAGE_URL = re.compile(r"shop-local-lb-[0-9a-f]{7}\.alb\.localhost:\d+")
OMITTED = "..."
CHANGING = [  # what differs from one run to the next
    (r"sha256:[0-9a-f.]+", "DIGEST"),
    (r"\d{4}-\d\d-\d\d[T ][\d:.+]+", "TIME"),
    (r"\b(?=[0-9a-f-]*\d)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b", "HEX"),
    (r"[\d.]+ ?s\b", "SECONDS"),
    (r"(the longest:).*", r"\1"),
    (r"^seconds [\d.]+", "seconds"),
    (r"(SUCCESSFUL) \d+", r"\1 SECONDS"),
    (r"localhost:\d+", "localhost:PORT"),
]


@dataclass(frozen=True)
class Step:
    """A command of the page, and the lines that it prints there."""

    section: str
    command: str
    printed: list[str]


def steps(text: str) -> list[Step]:
    """The commands of all console blocks, in the page's order."""
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        for _, language, block in FENCE.findall(section):
            if language == "console":
                for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                    command, *printed = part.splitlines()
                    found.append(Step(section.splitlines()[0], command, printed))
    return found


def python_blocks(text: str) -> list[str]:
    return [block for _, language, block in FENCE.findall(text) if language == "python"]


def stable(line: str) -> str:
    """A line without what differs from run to run."""
    line = " ".join(line.split())
    for pattern, word in CHANGING:
        line = re.sub(pattern, word, line)
    return line


def missing(expected: list[str], printed: str) -> list[str]:
    """The expected lines that are not printed, in their order; `...` leaves lines out, or the end of one."""
    lines = iter([stable(line) for line in printed.splitlines()])

    def is_next(line: str) -> bool:
        beginning = stable(line.removesuffix(OMITTED))
        return any(each.startswith(beginning) if line.endswith(OMITTED) else each == beginning for each in lines)

    return [line for line in expected if line.strip() not in ("", OMITTED) and not is_next(line)]


class Reader:
    """Somebody who follows the page in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("SLIPWAY_RUN") and k != "VIRTUAL_ENV"}
        self.env = inherited | {"SLIPWAY_PORT": str(self.port)}
        self.address = ""
        self.code = 0

    def type(self, command: str) -> str:
        """Runs a command in the folder where the reader is now, and returns what it prints."""
        if command == "echo $?":
            printed, self.code = str(self.code), 0
            return printed
        command = PAGE_URL.sub(self.address, command)
        script = f'{command}\ncode=$?\npwd > {self.folder}/.where; echo "$PATH" > {self.folder}/.path; exit $code'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=(self.folder / ".where").read_text().strip() if (self.folder / ".where").exists() else self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        self.code = done.returncode
        self.env["PATH"] = (self.folder / ".path").read_text().strip()
        self.address = (PAGE_URL.findall(done.stdout) or [self.address])[-1]
        return done.stdout

    def write(self, section: str, text: str) -> None:
        """Writes and edits the files as the section says."""
        app, stack_file = self.folder / "shop" / "main.py", self.folder / "shop" / "stacks" / "Pulumi.local.yaml"
        whole, key, endpoint = python_blocks(text)
        if section.startswith("3."):
            app.write_text(whole)
            (block,) = (block for _, language, block in FENCE.findall(text) if language == "text")
            (app.parent / "requirements.txt").write_text(block)
        elif section.startswith("5."):
            app.write_text(re.sub(r"(^DATABASE_URL = .*\n)", rf"\1{key}", whole, flags=re.MULTILINE))
        elif section.startswith("6."):
            app.write_text(f"{whole}\n\n{endpoint}")
            (line,) = re.findall(r"`(previews: true)`", text)
            stack_file.write_text(stack_file.read_text().replace("config:\n", f"config:\n  {line}\n", 1))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    (tmp_path / "slipway").symlink_to(ROOT)
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        if (tmp_path / "shop" / "infra" / ".venv" / "bin" / "slipway").exists():
            reader.type("uv run --project infra slipway down")
        stop_managed_docker()


def test_the_tutorial_works_as_it_is_written(reader: Reader) -> None:
    text = read("docs/tutorial.md")
    todo = steps(text)
    assert len(todo) > 20
    section = ""
    for step, after in zip(todo, [*todo[1:], None], strict=True):
        if step.section != section:
            section = step.section
            reader.write(section, text)
        printed = reader.type(step.command)
        fails = after is not None and after.command == "echo $?"
        assert (reader.code != 0) == fails, f"{step.command}: {reader.code}\n{printed}"
        assert missing(step.printed, printed) == [], f"{step.command}\n{printed}"


def test_a_line_that_is_not_printed_is_found() -> None:
    printed = "Deploying\n    + 122 created\n67 s in all; the longest: pulumi up 60 s\n"
    expected = ["...", "+ 122 created", "5 s in all; the longest: Local AWS 5 s"]
    assert missing(expected, printed) == []
    assert missing(["    + 121 created"], printed) == ["    + 121 created"]
    assert missing(list(reversed(expected)), printed) == ["+ 122 created"]
