"""Reads the routes of an app from its sources, and selects its health paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from slipway.cli.init.apps import AppCandidate
from slipway.cli.init.sources import Module, SourceTree

LIVE = ("livez", "liveness", "live", "alive", "ping", "heartbeat")
READY = ("readyz", "readiness", "ready")
GENERAL = ("healthz", "health", "healthcheck", "health-check", "health_check", "_health", "healthy", "status", "up")
STORES = ("db", "database", "deep", "full", "dependencies")
"""Last segments of a path that also checks the stores: `/healthz/db`."""
GET_DECORATORS = {"get", "api_route", "route", "head"}
ROUTERS = {"fastapi.APIRouter", "fastapi.routing.APIRouter"}
DEEPEST = 12
"""Maximum nesting of routers; more is a cycle."""


@dataclass(frozen=True)
class Route:
    """A path that answers GET, and its place in the sources."""

    path: str
    file: PurePosixPath
    line: int


@dataclass(frozen=True)
class HealthPaths:
    """The health paths of an app; an empty one does not exist."""

    live: str = ""
    ready: str = ""

    def __bool__(self) -> bool:
        return bool(self.live)


def health_paths(routes: list[Route]) -> HealthPaths:
    """Selects the paths for the container's and the load balancer's health checks from the app's routes."""
    paths = [route.path for route in routes if "{" not in route.path]
    live = _first(paths, LIVE)
    ready = _first(paths, READY) or _asks_stores(paths)
    general = _first(paths, GENERAL)
    if not (live or ready or general):
        return HealthPaths()
    return HealthPaths(live or general or ready, ready or general or live)


def _segments(path: str) -> list[str]:
    return [segment.lower() for segment in path.split("/") if segment]


def _first(paths: list[str], words: tuple[str, ...]) -> str:
    """Returns the path whose last segment is the likeliest of the words; of several the shortest."""
    ranked = [(words.index(parts[-1]), len(parts), p) for p in paths if (parts := _segments(p)) and parts[-1] in words]
    return min(ranked)[2] if ranked else ""


def _asks_stores(paths: list[str]) -> str:
    words = set(LIVE + READY + GENERAL)
    parts = {path: _segments(path) for path in paths}
    deep = [p for p, s in parts.items() if len(s) > 1 and s[-1] in STORES and words & set(s[:-1])]
    return min(deep, key=len) if deep else ""


@dataclass(eq=False)
class RouteReader:
    """Follows an app's routers through the sources."""

    tree: SourceTree

    def routes_of(self, candidate: AppCandidate) -> list[Route]:
        """Returns the routes of an app, with the prefixes of their routers."""
        names = {candidate.name} if candidate.name else set()
        function = _function(candidate.module, candidate.factory)
        home = candidate.module
        for call_home, node in self._factories(candidate):
            home, function = call_home, node
        routes = [route for name in names for route in self._router(candidate.module, name, "", 0)]
        if function is not None:
            for name in _names_of_apps(home, function) or {"app"}:
                routes += self._router(home, name, "", 0)
        return list(dict.fromkeys(routes)) or self.unreached_routes()

    def unreached_routes(self) -> list[Route]:
        """Returns every route of the sources with its router's prefix, for apps that are assembled at run time."""
        routers = ((module, name) for module in self.tree.program for name in self._routers(module))
        return [route for module, name in routers for route in self._own(module, name, "")]

    def _factories(self, candidate: AppCandidate) -> Iterator[tuple[Module, ast.FunctionDef]]:
        """Yields the function of this repository that creates the app, if a call does."""
        for node in candidate.module.syntax.body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if not isinstance(value, ast.Call):
                continue
            origin = candidate.module.origin(value.func)
            target = self.tree.resolve(origin, candidate.module) if "." in origin else (candidate.module, origin)
            function = _function(target[0], target[1]) if target else None
            if target and function is not None and _names_of_apps(target[0], function):
                yield target[0], function

    def _routers(self, module: Module) -> set[str]:
        calls = [n for n in module.nodes if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)]
        return {
            target.id
            for node in calls
            if isinstance(node.value, ast.Call) and module.origin(node.value.func) in ROUTERS
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def _router(self, module: Module, name: str, prefix: str, depth: int) -> Iterator[Route]:
        if depth > DEEPEST:
            return
        prefix += self._prefix_of(module, name)
        yield from self._own(module, name, prefix, with_prefix=False)
        for call in _calls(module, "include_router"):
            function = call.func
            if not isinstance(function, ast.Attribute) or module.origin(function.value) != name:
                continue
            router = next((k.value for k in call.keywords if k.arg == "router"), call.args[0] if call.args else None)
            target = self._target(module, router)
            if target:
                yield from self._router(*target, prefix + self._keyword(module, call, "prefix"), depth + 1)

    def _target(self, module: Module, router: ast.expr | None) -> tuple[Module, str] | None:
        origin = module.origin(router) if router is not None else ""
        if not origin:
            return None
        if "." not in origin:
            return module, origin
        target = self.tree.resolve(origin, module)
        if not target or not target[1]:
            return None
        inner = target[0].origins.get(target[1])
        # A package's __init__ re-exports names of its modules.
        return self._target(target[0], ast.Name(target[1])) if inner else target

    def _own(self, module: Module, name: str, prefix: str, *, with_prefix: bool = True) -> Iterator[Route]:
        """Yields the routes that are declared on a router itself."""
        prefix += self._prefix_of(module, name) if with_prefix else ""
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [d for d in node.decorator_list if isinstance(d, ast.Call)]
                calls = [d for d in calls if isinstance(d.func, ast.Attribute) and d.func.attr in GET_DECORATORS]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                calls = [node] if node.func.attr in ("add_api_route", "add_route") else []
            else:
                continue
            for call in calls:
                if not isinstance(call.func, ast.Attribute) or module.origin(call.func.value) != name:
                    continue
                path = self._text(module, _argument(call, 0, "path"))
                if path is not None and _answers_get(module, call):
                    yield Route(prefix + path, module.path, node.lineno)

    def _prefix_of(self, module: Module, name: str) -> str:
        for node in module.nodes:
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            is_router = module.origin(node.value.func) in ROUTERS
            if is_router and any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return self._keyword(module, node.value, "prefix")
        return ""

    def _keyword(self, module: Module, call: ast.Call, name: str) -> str:
        value = next((k.value for k in call.keywords if k.arg == name), None)
        return self._text(module, value) or ""

    def _text(self, module: Module, node: ast.expr | None) -> str | None:
        """Returns the text of a literal, a constant, a setting's default, or an f-string of these."""
        if node is None:
            return None
        value = module.literal(node)
        if isinstance(value, str):
            return value
        if isinstance(node, ast.JoinedStr):
            parts = [self._text(module, p.value if isinstance(p, ast.FormattedValue) else p) for p in node.values]
            return None if None in parts else "".join(part or "" for part in parts)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._text(module, node.left), self._text(module, node.right)
            return None if left is None or right is None else left + right
        return self.defaults.get(module.origin(node).rpartition(".")[2])

    @cached_property
    def defaults(self) -> dict[str, str]:
        """Returns name -> text of each constant and each setting's default that begins like a path."""
        values: dict[str, str] = {}
        for module in self.tree.program:
            for node in module.nodes:
                if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant):
                    continue
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                text = node.value.value
                if isinstance(target, ast.Name) and isinstance(text, str) and re.match(r"^(/|$)", text):
                    values.setdefault(target.id, text)
        return values


def _calls(module: Module, method: str) -> Iterator[ast.Call]:
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
            yield node


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    if len(call.args) > place:
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _answers_get(module: Module, call: ast.Call) -> bool:
    methods = next((keyword.value for keyword in call.keywords if keyword.arg == "methods"), None)
    if not isinstance(methods, ast.List | ast.Tuple | ast.Set):
        return True
    return "GET" in {str(module.literal(method)).upper() for method in methods.elts}


def _function(module: Module, name: str) -> ast.FunctionDef | None:
    functions = (node for node in module.syntax.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return next(functions, None) if name else None


def _names_of_apps(module: Module, function: ast.FunctionDef) -> set[str]:
    """Returns the variables of a function that hold a FastAPI app."""
    names: set[str] = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
            continue
        if not module.origin(node.value.func).endswith("FastAPI"):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names
