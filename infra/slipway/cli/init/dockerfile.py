"""Reads a team's own Dockerfile: build context, port and command; returns the command with the kit's time-outs."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.cli.init.apps import AppCandidate
from slipway.cli.init.sources import SourceTree

NAMES = re.compile(
    r"^(Dockerfile|Containerfile)(\.(prod|production|api|backend|web|app))?$|^(prod|api|app)\.Dockerfile$"
)
SERVERS = ("uvicorn", "gunicorn", "fastapi", "hypercorn", "granian")
FIRST_FREE_PORT = 1024
"""Lowest port that a process without root rights may listen on everywhere."""
DEFAULT_PORT = 8000
SHELLS = (["sh"], ["bash"], ["/bin/sh"], ["/bin/bash"])
RUNNERS = (["uv", "run"], ["poetry", "run"], ["pipenv", "run"], ["python", "-m"], ["python3", "-m"], ["exec"])


@dataclass(frozen=True)
class Dockerfile:
    """The parts of a Dockerfile that a deployment needs."""

    path: PurePosixPath
    text: str
    context: PurePosixPath
    """The build context, relative to the repository."""
    command: tuple[str, ...]
    """The command of its last stage; empty if that is a script or missing."""
    port: int | None
    script: str = ""
    """The shell script or line that it runs; it cannot be rewritten."""
    before: str = ""
    """Commands of a shell line before the server."""


def find_dockerfile(tree: SourceTree, candidate: AppCandidate) -> Dockerfile | None:
    """Returns the Dockerfile of an app: the nearest one whose last command starts a server."""
    dockerfiles = [path for path in tree.files if NAMES.match(path.name)]
    near = [
        path for path in dockerfiles if path.parent == candidate.folder or candidate.folder.is_relative_to(path.parent)
    ]
    near += [path for path in dockerfiles if path.parent.name in ("docker", "deploy", ".docker") and path not in near]
    near.sort(key=lambda path: (path.parent != candidate.folder, -len(path.parts), path.name != "Dockerfile", path))
    for path in near:
        dockerfile = read_dockerfile(tree, path)
        words = " ".join(dockerfile.command) or dockerfile.script
        serves = any(server in words for server in SERVERS) or bool(dockerfile.script)
        other = re.search(r"([\w.]+):\w+", words)
        is_this_one = not other or other[1].split(".")[-1] == candidate.module.path.stem
        if serves and is_this_one:
            return dockerfile
    return None


def read_dockerfile(tree: SourceTree, path: PurePosixPath) -> Dockerfile:
    """Reads a Dockerfile."""
    text = tree.text(path)
    instructions = _instructions(text)
    last_stage = max((number for number, (word, _) in enumerate(instructions) if word == "FROM"), default=0)
    stage = instructions[last_stage:]
    command, script, before = parse_command(stage)
    exposed = [value for word, value in stage if word == "EXPOSE"]
    ports = dict(_port_variables(instructions))
    number = re.match(r"\d+", _filled(exposed[-1], ports)) if exposed else None
    command = tuple(_filled(word, ports) for word in command)
    port = port_of(command) or (int(number[0]) if number else None) or _int(ports.get("PORT"))
    return Dockerfile(path, text, _context(tree, path, instructions), command, port, script, before)


def _instructions(text: str) -> list[tuple[str, str]]:
    """Yields instruction and arguments, with continued lines joined and without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\s*\n", " ", "\n".join(lines))
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in pairs]


def parse_command(stage: list[tuple[str, str]]) -> tuple[tuple[str, ...], str, str]:
    """Returns the words of ENTRYPOINT and CMD, or their script; and a shell line's commands before the server."""
    entry = next((value for word, value in reversed(stage) if word == "ENTRYPOINT"), "")
    command = next((value for word, value in reversed(stage) if word == "CMD"), "")
    words = [*_words(entry), *_words(command)]
    line = "" if not command or command.startswith("[") else command
    if words[:1] in SHELLS and len(words) > 2 and words[1] in ("-c", "-lc"):
        line = words[2]
        words = _split(line)
    *before, last = line.split("&&")
    if before:
        words = _split(last)
    words = _without_runner(words)
    is_script = not words or words[0].endswith(".sh") or words[:1] in SHELLS
    if is_script or (line and re.search(r"[;|`]|\$\(", line)) or (before and words[0] not in SERVERS):
        return (), line or " ".join(words), ""
    return tuple(words), "", " && ".join(part.strip() for part in before)


def _without_runner(words: list[str]) -> list[str]:
    for runner in RUNNERS:
        if words[: len(runner)] == runner:
            return _without_runner(words[len(runner) :])
    return words


def _words(value: str) -> list[str]:
    if value.startswith("["):
        try:
            return [str(word) for word in json.loads(value)]
        except ValueError:
            return []
    return _split(value)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _port_variables(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs = []
    for word, value in instructions:
        if word in ("ENV", "ARG"):
            pairs += re.findall(r"(\w+)[ =]\"?(\d+)\"?", value)
    return pairs


def _filled(word: str, values: dict[str, str]) -> str:
    """Returns a word with its port variables replaced: `${PORT:-8080}`."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1] or match[3], match[2]
        return values.get(name) or default or (str(DEFAULT_PORT) if name.endswith("PORT") else match[0])

    return re.sub(r"\$\{(\w+)(?::?-(\w+))?\}|\$(\w+)", value, word)


def _int(value: str | None) -> int | None:
    return int(value) if value else None


def port_of(command: tuple[str, ...]) -> int | None:
    """Returns the port of a server's command line; None if it has none."""
    line = " ".join(command)
    match = re.search(r"--port[ =](\d+)|(?:--bind|-b)[ =]\S*?:(\d+)", line)
    return int(match[1] or match[2]) if match else None


def _context(tree: SourceTree, path: PurePosixPath, instructions: list[tuple[str, str]]) -> PurePosixPath:
    """Returns the folder that has most of COPY's sources: the Dockerfile's own, or one above it."""
    sources: list[str] = []
    for word, value in instructions:
        if word in ("COPY", "ADD") and "--from" not in value:
            words = [w for w in (_words(value)) if not w.startswith("--")]
            sources += [source.lstrip("./") for source in words[:-1] if "*" not in source]
    named = [source for source in sources if source]

    def count_sources(folder: PurePosixPath) -> int:
        return sum(tree.has(folder / s) or any(f.is_relative_to(folder / s) for f in tree.files) for s in named)

    return max(path.parents, key=count_sources) if named else path.parent


def served_command(dockerfile: Dockerfile, candidate: AppCandidate, port: int) -> str:
    """Returns the server's command with the time-outs that the load balancer needs; empty if it cannot be rewritten."""
    words = list(dockerfile.command)
    server = PurePosixPath(words[0]).name if words else ""
    if server == "fastapi":
        words = ["uvicorn", candidate.reference]
    elif server == "uvicorn":
        words = _without(words, ("--port", "--host", "--workers"), ("--reload",))
    elif server == "gunicorn":
        return _gunicorn(words, port)
    else:
        return ""
    if not candidate.name and "--factory" not in words:
        words.append("--factory")
    words += ["--host", "0.0.0.0", "--port", str(port)]  # noqa: S104  # in a container, behind the load balancer
    for option, seconds in (("--timeout-keep-alive", "75"), ("--timeout-graceful-shutdown", "30")):
        if option not in words:
            words += [option, seconds]
    return shlex.join(words)


def _gunicorn(words: list[str], port: int) -> str:
    words = _without(words, ("--bind", "-b", "--workers", "-w"), ("--reload",))
    line = " ".join(words)
    if "-c" not in words and "--config" not in line:
        words += ["--bind", f"0.0.0.0:{port}"]
        if "--keep-alive" not in line:
            words += ["--keep-alive", "75"]
        if "--graceful-timeout" not in line:
            words += ["--graceful-timeout", "30"]
    return shlex.join(words)


def _without(words: list[str], valued: tuple[str, ...], flags: tuple[str, ...]) -> list[str]:
    remaining: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in valued:
            skip = True
        elif word not in flags and not word.startswith(tuple(f"{option}=" for option in valued)):
            remaining.append(word)
    return remaining
