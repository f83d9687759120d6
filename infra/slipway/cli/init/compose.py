"""Reads docker-compose.yml as a description of the app: `slipway init --from compose`."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from slipway.cli.init.apps import AppCandidate
from slipway.cli.init.dockerfile import SERVERS, Dockerfile, parse_command, port_of, read_dockerfile, served_command
from slipway.cli.init.foreign import ForeignSpec, process_name, read_yaml
from slipway.cli.init.sources import SourceTree
from slipway.config.errors import SlipwayError

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
IMAGES = {
    "postgres": "database",
    "postgis": "database",
    "pgvector": "database",
    "timescaledb": "database",
    "redis": "cache",
    "valkey": "cache",
    "elasticmq": "queue",
    "minio": "bucket",
}
"""Part of an image's name -> the kit's store that replaces it."""
TOOLS = (
    "adminer",
    "pgadmin",
    "flower",
    "traefik",
    "nginx",
    "caddy",
    "mailhog",
    "mailpit",
    "maildev",
    "redis-commander",
)
"""Images and commands of developer tools, and of proxies that the load balancer replaces."""


@dataclass(frozen=True)
class Service:
    """A compose service that is built from the app's sources."""

    name: str
    data: dict[str, Any]
    context: PurePosixPath
    dockerfile: PurePosixPath


def read_compose(root: Path, tree: SourceTree, candidate: AppCandidate) -> ForeignSpec:
    """Returns app, workers and stores as docker-compose describes them.

    Raises:
        SlipwayError: there is no such file, or none of its services is built from the app's folder.
    """
    name = next((name for name in FILES if (root / name).is_file()), "")
    if not name:
        raise SlipwayError(f"There is none of {', '.join(FILES)} here.", "Run init without --from.")
    services = {
        str(k): v for k, v in (read_yaml(root / name, name).get("services") or {}).items() if isinstance(v, dict)
    }
    spec = ForeignSpec(name)
    built = [s for s in (_service(key, data) for key, data in services.items()) if s and _builds(tree, s, candidate)]
    web = next((service for service in built if _serves(tree, service)), None)
    if web is None:
        raise SlipwayError(
            f"No service of {name} is built from {candidate.folder} and starts a server.",
            "Run init without --from, and write the processes into stacks/app.yaml.",
        )
    _read_web(tree, web, candidate, spec)
    for service in built:
        if service is not web:
            _read_process(service, web, spec)
        spec.environment |= _environment(service.data)
    for key, data in services.items():
        if "build" not in data:
            _read_image(key, str(data.get("image", "")), spec)
    return spec


def _service(name: str, data: dict[str, Any]) -> Service | None:
    build = data.get("build")
    if not build:
        return None
    options = build if isinstance(build, dict) else {"context": build}
    context = PurePosixPath(str(options.get("context", ".")).removeprefix("./"))
    return Service(name, data, context, context / str(options.get("dockerfile", "Dockerfile")))


def _builds(tree: SourceTree, service: Service, candidate: AppCandidate) -> bool:
    return tree.has(service.dockerfile) and candidate.module.path.is_relative_to(service.context)


def _words(data: dict[str, Any]) -> tuple[tuple[str, ...], str, str]:
    """Returns the words of a service's own command; empty if it has none."""
    instructions = []
    for key, word in (("entrypoint", "ENTRYPOINT"), ("command", "CMD")):
        value = data.get(key)
        if value:
            instructions.append((word, json.dumps(value) if isinstance(value, list) else str(value)))
    return parse_command(instructions) if instructions else ((), "", "")


def _serves(tree: SourceTree, service: Service) -> bool:
    words, script, _ = _words(service.data)
    if not words and not script:
        dockerfile = read_dockerfile(tree, service.dockerfile)
        words, script = dockerfile.command, dockerfile.script
    return any(server in (" ".join(words) or script) for server in SERVERS)


def _read_web(tree: SourceTree, web: Service, candidate: AppCandidate, spec: ForeignSpec) -> None:
    dockerfile = read_dockerfile(tree, web.dockerfile)
    words, script, before = _words(web.data)
    spec.source, spec.dockerfile = str(web.context), str(web.dockerfile)
    ports = [str(port.get("target") if isinstance(port, dict) else port) for port in web.data.get("ports") or []]
    container_port = re.search(r"(\d+)(?:/tcp)?$", ports[0]) if ports else None
    spec.port = port_of(words) or (int(container_port[1]) if container_port else None) or dockerfile.port
    command = words or dockerfile.command
    own = Dockerfile(dockerfile.path, dockerfile.text, web.context, command, spec.port, script, before)
    line = served_command(own, candidate, spec.port or 8000)
    spec.processes["web"] = {"command": line} if line else {}
    if script or not line:
        spec.notes.append(
            f"{web.name} is started by `{script or ' '.join(command)}`: it must keep idle connections for 75 s"
        )
    if before:
        spec.notes.append(
            f"{web.name} runs `{before}` first: put what has to run once under `release` of stacks/app.yaml"
        )
    test = (web.data.get("healthcheck") or {}).get("test", "")
    path = re.search(r"https?://[^/\s\"']+(/[\w./~%-]*)", " ".join(test) if isinstance(test, list) else str(test))
    spec.health = path[1] if path else ""


def _read_process(service: Service, web: Service, spec: ForeignSpec) -> None:
    words, script, _ = _words(service.data)
    line = shlex.join(words) or script
    if any(tool in line for tool in TOOLS):
        spec.notes.append(f"{service.name} was left out: it is a developer tool")
    elif not line:
        spec.notes.append(f"{service.name} was left out: it has no command of its own")
    elif service.dockerfile != web.dockerfile:
        note = f"{service.name} was left out: it has an image of its own, so give its process a `dockerfile`"
        spec.notes.append(note)
    elif "alembic" in line or "migrat" in service.name:
        spec.release = spec.release or line
    else:
        spec.processes[process_name(service.name, set(spec.processes))] = {"command": line}


def _environment(data: dict[str, Any]) -> dict[str, str]:
    variables = data.get("environment") or {}
    if isinstance(variables, list):
        pairs = (str(item).partition("=") for item in variables)
        return {name: value for name, _, value in pairs}
    return {str(name): "" if value is None else str(value) for name, value in variables.items()}


def _read_image(name: str, image: str, spec: ForeignSpec) -> None:
    repository = image.rpartition("/")[2].partition(":")[0]
    store = next((store for part, store in IMAGES.items() if part in image.partition(":")[0]), "")
    if any(tool in repository for tool in TOOLS):
        return
    if store:
        spec.needs.add(store)
    else:
        spec.notes.append(f"{name} ({image}) was left out: the kit has no replacement for it")
