"""Finds the FastAPI apps of a repository: `package.module:name` and build folder."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.cli.init.sources import Module, SourceTree, assignments

ROOT = PurePosixPath()
"""The repository."""
FASTAPI = {"fastapi.FastAPI", "fastapi.applications.FastAPI"}
USUAL_FILES = ("main.py", "app.py", "asgi.py", "server.py", "api.py", "application.py")
USUAL_NAMES = ("app", "application", "api")
MANIFESTS = ("uv.lock", "poetry.lock", "requirements.txt", "Pipfile", "pdm.lock")
"""In addition to pyproject.toml and setup.py, if they list dependencies."""
WRAPPERS = ("Middleware", "ASGIApp")
"""Suffixes of classes that wrap an ASGI app."""


@dataclass(frozen=True, eq=False)
class AppCandidate:
    """A FastAPI app."""

    module: Module
    name: str
    """The variable that holds it; empty if only a function creates one."""
    factory: str = ""
    """The function that creates it, if there is no variable."""
    folder: PurePosixPath = ROOT
    """Folder of its project, which lists its packages."""
    import_root: PurePosixPath = ROOT
    """The folder on Python's import path."""

    @property
    def dotted(self) -> str:
        """The module's name for an import: `shop.main`."""
        path = self.module.path.relative_to(self.import_root).with_suffix("")
        parts = path.parts[:-1] if path.name == "__init__" else path.parts
        return ".".join(parts)

    @property
    def reference(self) -> str:
        """`package.module:name`, as a server's argument."""
        return f"{self.dotted}:{self.name or self.factory}"


def find_apps(tree: SourceTree) -> list[AppCandidate]:
    """Returns the apps that a server could run, the likeliest first, without those mounted in another app."""
    candidates = [candidate for module in tree.program for candidate in _of_module(tree, module)]
    mounted = _mounted(tree)
    served = [c for c in candidates if (c.module.path, c.name) not in mounted]
    with_variable = [c for c in served if c.name]
    covered_folders = {c.folder for c in with_variable}
    chosen = with_variable + [c for c in served if not c.name and c.folder not in covered_folders]
    return sorted(chosen, key=_rank)


def _rank(candidate: AppCandidate) -> tuple[int, int, int, str]:
    def place(value: str, usual: tuple[str, ...]) -> int:
        return usual.index(value) if value in usual else len(usual)

    path = candidate.module.path
    return place(path.name, USUAL_FILES), place(candidate.name, USUAL_NAMES), len(path.parts), str(path)


def _of_module(tree: SourceTree, module: Module) -> list[AppCandidate]:
    variables: dict[str, None] = {}
    wrapped: set[str] = set()
    for name, value in assignments(module.syntax.body):
        if not isinstance(value, ast.Call):
            continue
        inner = [arg.id for arg in (*value.args, *(k.value for k in value.keywords)) if isinstance(arg, ast.Name)]
        if module.origin(value.func).endswith(WRAPPERS) and any(arg in variables for arg in inner):
            wrapped |= {arg for arg in inner if arg != name}
            variables[name] = None
        elif makes_app(tree, module, value):
            variables[name] = None
    names = [name for name in variables if name not in wrapped]
    functions = [node for node in module.syntax.body if isinstance(node, ast.FunctionDef)]
    factories = [] if names else [node.name for node in functions if _builds(module, node)]
    if not names and not factories:
        return []
    folder, root = place_of(tree, module)
    apps = [AppCandidate(module, name, folder=folder, import_root=root) for name in names]
    return apps or [AppCandidate(module, "", factories[0], folder, root)]


def makes_app(tree: SourceTree, module: Module, call: ast.Call) -> bool:
    """Whether a call creates a FastAPI app: the class, a subclass, or a function that returns one."""
    origin = module.origin(call.func)
    if origin in FASTAPI:
        return True
    target = (module, origin) if origin and "." not in origin else tree.resolve(origin, module) if origin else None
    if not target:
        return False
    home, name = target
    for node in home.syntax.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return any(home.origin(base) in FASTAPI for base in node.bases)
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _builds(home, node)
    return False


def _builds(module: Module, function: ast.FunctionDef) -> bool:
    if function.returns is not None and module.origin(function.returns) in FASTAPI:
        return True
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    has_return = any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(function))
    return has_return and any(module.origin(call.func) in FASTAPI for call in calls)


def _mounted(tree: SourceTree) -> set[tuple[PurePosixPath, str]]:
    """Returns file and variable of each app that another app mounts."""
    places: set[tuple[PurePosixPath, str]] = set()
    for module in tree.program:
        for node in module.nodes:
            is_mount = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "mount"
            if not is_mount or not isinstance(node, ast.Call):
                continue
            values = [*node.args[1:2], *(keyword.value for keyword in node.keywords if keyword.arg == "app")]
            for value in values:
                origin = module.origin(value)
                target = tree.resolve(origin, module) if "." in origin else (module, origin)
                if target:
                    places.add((target[0].path, target[1]))
    return places


def place_of(tree: SourceTree, module: Module) -> tuple[PurePosixPath, PurePosixPath]:
    """Returns the folder of a module's project, and the folder that its imports start from."""
    folder = project_folder(tree, module.path)
    candidates = [parent for parent in module.path.parents if parent.is_relative_to(folder)]
    if folder != PurePosixPath():
        candidates.append(folder.parent)
    climbed = module.path.parent
    while (climbed / "__init__.py") in tree.files and climbed != PurePosixPath():
        climbed = climbed.parent
    if climbed not in candidates:
        climbed = folder

    def resolved(root: PurePosixPath) -> int:
        return sum(_exists_below(tree, root, name) for name in _absolute_imports(tree, module, folder))

    best = max((climbed, *candidates), key=resolved)
    return folder, climbed if resolved(climbed) == resolved(best) else best


def _absolute_imports(tree: SourceTree, module: Module, folder: PurePosixPath) -> set[str]:
    near = [m for m in tree.program if m.path.is_relative_to(folder)]
    names = {name for m in (module, *near[:200]) for name in m.imports}
    return {name.partition(".")[0] for name in names if not name.startswith(".")}


def _exists_below(tree: SourceTree, root: PurePosixPath, package: str) -> bool:
    return (root / f"{package}.py") in tree.modules or (root / package) in tree.packages


def project_folder(tree: SourceTree, path: PurePosixPath) -> PurePosixPath:
    """Returns the nearest folder above a file that lists packages; the repository's root if none does."""
    for parent in path.parents:
        if any(tree.has(parent / name) for name in MANIFESTS) or "setuptools" in tree.text(parent / "setup.py"):
            return parent
        text = tree.text(parent / "pyproject.toml")
        if "[project]" in text or "[tool.poetry]" in text:
            return parent
    return PurePosixPath()
