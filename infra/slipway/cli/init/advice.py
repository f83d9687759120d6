"""Lists the changes that the team has to make in the app itself, each with file, line and code."""

from __future__ import annotations

import ast
import json
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch

from slipway.cli.init.app_file import DEFAULT_HEALTH
from slipway.cli.init.apps import FASTAPI
from slipway.cli.init.database_url import ENGINES, adapts_url
from slipway.cli.init.detect import DetectedApp
from slipway.cli.init.sources import Module, SourceTree
from slipway.cli.init.variables import MappedVariables

TORTOISE_URL = 'url = "asyncpg://" + url.partition("://")[2].partition("?")[0]'
"""Converts the kit's database.url, `postgresql://...?sslmode=verify-full`, into Tortoise ORM's form."""


@dataclass(frozen=True)
class Advice:
    """A change of the app that init leaves to the team."""

    title: str
    place: str = ""
    """File and line; empty if it concerns no single file."""
    code: str = ""
    """Lines to add or to replace the present ones with."""


def advise(tree: SourceTree, app: DetectedApp, mapped: MappedVariables) -> list[Advice]:
    """Returns the changes that the app needs for its deployment."""
    advice = [] if app.health else [health_advice(tree, app)]
    advice += _database(app, mapped)
    advice += _stores(app, mapped)
    advice += [Advice(problem) for problem in app.problems]
    if any("TrustedHostMiddleware" in name for module in app.modules for name in module.imports):
        advice.append(
            Advice("TrustedHostMiddleware answers health checks with 400: their Host is an IP. Exempt the health path")
        )
    if app.release.release.startswith("alembic") and "alembic" in app.packages.only_for_development:
        advice.append(Advice("alembic is in a development group only: the image needs it for `release`"))
    return advice


def health_advice(tree: SourceTree, app: DetectedApp) -> Advice:
    """Returns the health path to add, in the file that creates the app."""
    module, call, name, indent = _find_app_call(tree, app)
    pad = " " * indent
    lines = [f'@{name}.get("{DEFAULT_HEALTH}")', "def health() -> dict[str, str]:", '    return {"status": "ok"}']
    line = call.end_lineno or call.lineno if call else len(module.text.splitlines())
    return Advice(
        f"No health path was found. Add {DEFAULT_HEALTH}: it answers 200 without a login while the process works",
        f"{module.path}, after line {line}",
        "\n".join(pad + text for text in lines),
    )


def _find_app_call(tree: SourceTree, app: DetectedApp) -> tuple[Module, ast.stmt | None, str, int]:
    """Returns file, statement, variable and indentation of the call that creates the app."""
    home = app.candidate.module
    statements = [(home, node) for node in home.nodes if _makes(home, node)]
    if not statements:
        for module in app.modules:
            statements += [(module, node) for node in module.nodes if _makes(module, node)]
    if not statements:
        return home, None, app.candidate.name or "app", 0
    module, node = statements[0]
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    name = target.id if isinstance(target, ast.Name) else "app"
    return module, node if isinstance(node, ast.stmt) else None, name, getattr(node, "col_offset", 0)


def _makes(module: Module, node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    return isinstance(value, ast.Call) and module.origin(value.func) in FASTAPI


def workspace_advice(tree: SourceTree) -> list[Advice]:
    """Returns the line that excludes infra from the root's uv workspace, if its pattern includes infra."""
    try:
        data = tomllib.loads(tree.text("pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return []
    workspace = data.get("tool", {}).get("uv", {}).get("workspace", {})
    members, excluded = workspace.get("members", []), workspace.get("exclude", [])
    is_member = any(fnmatch("infra", pattern) for pattern in members)
    if not is_member or any(fnmatch("infra", pattern) for pattern in excluded):
        return []
    title = "uv's workspace would include infra and its packages. Add below [tool.uv.workspace]"
    return [Advice(title, "pyproject.toml", f"exclude = {json.dumps([*excluded, 'infra'])}")]


def _database(app: DetectedApp, mapped: MappedVariables) -> list[Advice]:
    stores = app.stores
    advice: list[Advice] = []
    url = next((name for name, value in mapped.variables.items() if value == "database.url"), "")
    if url and stores.orm == "tortoise-orm" and not adapts_url(app):
        variable = next((v for v in app.variables if v.name == url), None)
        advice.append(
            Advice(
                f"{url} is set to postgresql://...?sslmode=verify-full, and Tortoise ORM needs another form. "
                "PGSSLMODE and PGSSLROOTCERT are set, so the server's certificate is verified in both",
                variable.place if variable else "",
                TORTOISE_URL,
            )
        )
    if url and not stores.driver:
        advice.append(
            Advice(f"{url} is set to a Postgres URL, and no Postgres driver is installed: add psycopg or asyncpg")
        )
    if stores.driver and "database" not in mapped.needs:
        advice.append(
            Advice(
                f"{stores.driver} is installed, and no variable for the database's address was found. If there "
                "is one, add `needs: [database]` and `variables: {NAME: database.url}` to stacks/app.yaml"
            )
        )
    if stores.sqlite and "database" not in mapped.needs:
        advice.append(Advice("SQLite's file would be lost with each task: read a Postgres URL from a variable"))
    if "database" in mapped.needs and not mapped.uses("database"):
        return advice
    overflow = _default_overflow(app)
    if "database" in mapped.needs and overflow:
        advice.append(
            Advice(
                "SQLAlchemy opens up to 10 connections beyond its pool, and the kit does not count them: a rollout "
                "could exhaust the database's connections",
                overflow,
                "max_overflow=0",
            )
        )
    return advice


def _default_overflow(app: DetectedApp) -> str:
    """Returns file and line of an engine with SQLAlchemy's default overflow; empty if any engine sets it."""
    place = ""
    for module in app.modules:
        if {"migrations", "alembic"} & set(module.path.parts):
            continue
        for node in module.nodes:
            if not isinstance(node, ast.Call):
                continue
            name = module.origin(node.func).rpartition(".")[2]
            if name not in ENGINES:
                continue
            keywords = {keyword.arg for keyword in node.keywords}
            if keywords & {"max_overflow", "poolclass", None}:
                return ""
            place = place or f"{module.path}:{node.lineno}"
    return place


def _stores(app: DetectedApp, mapped: MappedVariables) -> list[Advice]:
    advice: list[Advice] = []
    if app.stores.redis and "cache" not in mapped.needs:
        advice.append(
            Advice(
                "Redis is used, and no variable for its address was found. If there is one, add `needs: [cache]` and "
                "`variables: {NAME: cache.url}` to stacks/app.yaml"
            )
        )
    if app.stores.s3 and "bucket" not in mapped.needs:
        advice.append(
            Advice("S3 is used, and no variable for a bucket's name was found: `variables: {NAME: bucket.name}`")
        )
    advice += [
        Advice(f"The kit creates no {store}: use an existing one, and configure its address under `secrets`")
        for store in app.stores.others
    ]
    buckets = [name for name, value in mapped.variables.items() if value == "bucket.name"]
    if len(buckets) > 1:
        advice.append(Advice(f"{', '.join(buckets)} are all set to the same bucket: a stack has only one"))
    if any(process.name == "beat" for process in app.workers):
        advice.append(Advice("A rollout runs two beat processes for some seconds: a task must be safe to send twice"))
    return advice
