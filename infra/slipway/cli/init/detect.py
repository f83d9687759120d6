"""Describes an app from its sources; `slipway init` derives its files from this."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from slipway.cli.init.apps import AppCandidate, find_apps, place_of, project_folder
from slipway.cli.init.dockerfile import (
    DEFAULT_PORT,
    FIRST_FREE_PORT,
    Dockerfile,
    find_dockerfile,
    read_dockerfile,
    served_command,
)
from slipway.cli.init.env_names import EnvVariable, dotenv_names, merged, read_variables
from slipway.cli.init.packages import Packages, python_version, read_packages
from slipway.cli.init.processes import FoundProcess, ReleaseCommands, find_release, find_workers
from slipway.cli.init.routes import HealthPaths, Route, RouteReader, health_paths
from slipway.cli.init.settings_classes import SettingsReader
from slipway.cli.init.sources import Module, SourceTree
from slipway.cli.init.stores import Stores, find_stores

SCRIPT_FOLDERS = {"scripts", "tools", "bin", "notebooks", "migrations", "versions"}
METRICS_PORT = 9102
METRICS_NAMES = ("METRICS_PORT", "PROMETHEUS_PORT")


@dataclass(frozen=True, eq=False)
class DetectedApp:
    """An app as its sources describe it."""

    candidate: AppCandidate
    source: PurePosixPath
    """The build context, relative to the repository."""
    module: str
    """`package.module:name` for the kit's own image; empty where a Dockerfile builds it."""
    dockerfile: Dockerfile | None
    port: int
    health: HealthPaths
    routes: list[Route]
    web_command: str
    """Overrides the image's own; empty for that one."""
    python: str
    packages: Packages
    modules: list[Module]
    """The app's files."""
    variables: list[EnvVariable]
    example_values: dict[str, str]
    """Of the .env files: name -> value of an example, empty for a secret one."""
    workers: list[FoundProcess]
    release: ReleaseCommands
    stores: Stores
    metrics_port: int | None
    environment: dict[str, str] = field(default_factory=dict)
    """Plain variables that the image needs."""
    problems: list[str] = field(default_factory=list)
    """Problems, each with its fix."""


def detect(tree: SourceTree, candidate: AppCandidate, dockerfile_path: str = "") -> DetectedApp:
    """Describes one app of a repository. `dockerfile_path` overrides the detected Dockerfile."""
    dockerfile = find_dockerfile(tree, candidate)
    if dockerfile_path:
        dockerfile = read_dockerfile(tree, PurePosixPath(dockerfile_path))
    modules = modules_of(tree, candidate)
    packages = read_packages(tree, candidate.folder)
    variables = [variable for module in modules for variable in read_variables(module)]
    variables = merged([*SettingsReader(tree, modules).variables(), *variables])
    routes = RouteReader(tree).routes_of(candidate)

    def dotted(module: Module) -> str:
        return AppCandidate(module, "", import_root=candidate.import_root).dotted

    inside = [module for module in modules if module.path.is_relative_to(candidate.import_root)]
    problems: list[str] = []
    environment: dict[str, str] = {}
    if dockerfile:
        source, port, command = dockerfile.context, dockerfile.port or DEFAULT_PORT, ""
        if port < FIRST_FREE_PORT:
            port = DEFAULT_PORT
        command = served_command(dockerfile, candidate, port)
        problems += _dockerfile_problems(dockerfile, command, port)
    else:
        source, port = candidate.folder, _port(modules) or DEFAULT_PORT
        command = _own_gunicorn(tree, candidate)
        if candidate.import_root not in (source, source.parent):
            # Relative to the working directory, which is on the import path.
            environment["PYTHONPATH"] = f"{candidate.import_root.relative_to(source)}:."
        problems += [packages.problem] if packages.problem else []
        if not candidate.name:
            problems.append(
                f"{candidate.module.path} has no variable with the app, only {candidate.factory}(). Add at its end: "
                f"app = {candidate.factory}()"
            )
    return DetectedApp(
        candidate=candidate,
        source=source,
        module="" if dockerfile else candidate.reference if candidate.name else f"{candidate.dotted}:app",
        dockerfile=dockerfile,
        port=port,
        health=health_paths(routes),
        routes=routes,
        web_command=command,
        python=python_version(tree, candidate.folder, dockerfile.text if dockerfile else ""),
        packages=packages,
        modules=modules,
        variables=variables,
        example_values=dotenv_names(tree, candidate.folder),
        workers=find_workers(inside, dotted, packages),
        release=find_release(tree, inside, dotted, candidate.folder, packages),
        stores=find_stores(modules, packages),
        metrics_port=_metrics_port(variables),
        environment=environment,
        problems=problems,
    )


def modules_of(tree: SourceTree, candidate: AppCandidate) -> list[Module]:
    """Returns an app's files: those that it imports, and the others of its project."""
    others = [c for c in find_apps(tree) if c.folder == candidate.folder and c.module is not candidate.module]
    own_folder = candidate.module.path.parent if others else candidate.folder
    same_project = [
        module
        for module in tree.program
        if module.path.is_relative_to(own_folder)
        and project_folder(tree, module.path) == candidate.folder
        and not SCRIPT_FOLDERS & set(module.path.relative_to(own_folder).parts[:-1])
    ]
    ordered = [candidate.module, *_reached(tree, [candidate.module]), *same_project, *_reached(tree, same_project)]
    return list({module.path: module for module in ordered}.values())


def _reached(tree: SourceTree, start: list[Module]) -> list[Module]:
    """Returns the modules that these import, directly or indirectly."""
    reached = {module.path: module for module in start}
    waiting = [*start]
    while waiting:
        module = waiting.pop()
        for name in module.imports:
            target = tree.resolve(name, module)
            if target and target[0].path not in reached:
                reached[target[0].path] = target[0]
                waiting.append(target[0])
    return list(reached.values())


def _dockerfile_problems(dockerfile: Dockerfile, command: str, port: int) -> list[str]:
    problems = []
    if dockerfile.script:
        problems.append(
            f"{dockerfile.path} starts the server by `{dockerfile.script}`: have it listen on 0.0.0.0:{port}, keep "
            "idle connections for 75 s (--timeout-keep-alive 75) and begin with `exec`, so that SIGTERM reaches it"
        )
    elif not command:
        problems.append(
            f"{dockerfile.path} starts an unknown server: it has to listen on 0.0.0.0:{port} and keep "
            "idle connections for 75 s"
        )
    if dockerfile.before and command:
        problems.append(
            f"{dockerfile.path} runs `{dockerfile.before}` before the server, and processes.web.command does not: "
            "put what has to run once under `release` of stacks/app.yaml"
        )
    if dockerfile.port and dockerfile.port < FIRST_FREE_PORT and command:
        problems.append(
            f"The port is {port}, not {dockerfile.port}: the container runs as user 10001, without root rights"
        )
    if re.search(r"^FROM\s+(?:\S+\s+)*(gcr\.io/distroless|scratch)", dockerfile.text, re.MULTILINE):
        problems.append(f"{dockerfile.path}: the health check needs python3, curl or wget in the image")
    return problems


def _own_gunicorn(tree: SourceTree, candidate: AppCandidate) -> str:
    """Returns the command with the app's own gunicorn.conf.py; empty if there is none."""
    for name in ("gunicorn.conf.py", "gunicorn_conf.py"):
        if tree.has(candidate.folder / name) and candidate.name:
            return f"gunicorn -c {name} {candidate.reference}"
    return ""


def _port(modules: list[Module]) -> int | None:
    """Returns the port of a call of uvicorn.run, if it is a number."""
    for module in modules:
        for node in module.nodes:
            if isinstance(node, ast.Call) and module.origin(node.func) == "uvicorn.run":
                value = next((module.literal(k.value) for k in node.keywords if k.arg == "port"), None)
                if isinstance(value, int) and value >= FIRST_FREE_PORT:
                    return value
    return None


def _metrics_port(variables: list[EnvVariable]) -> int | None:
    for variable in variables:
        if variable.name in METRICS_NAMES:
            return int(variable.default) if variable.default.isdigit() else METRICS_PORT
    return None


def survey(root: Path) -> tuple[SourceTree, list[AppCandidate]]:
    """Returns a folder's files, and its apps."""
    tree = SourceTree(root)
    return tree, find_apps(tree)


def place_of_module(tree: SourceTree, reference: str) -> AppCandidate | None:
    """Returns the app of `package.module:name`, given by --app although detection did not find it."""
    dotted, _, name = reference.partition(":")
    parts = dotted.split(".")
    for module in tree.program:
        path = module.path.with_suffix("")
        if list(path.parts[-len(parts) :]) == parts:
            folder, root = place_of(tree, module)
            return AppCandidate(module, name or "app", folder=folder, import_root=root)
    return None
