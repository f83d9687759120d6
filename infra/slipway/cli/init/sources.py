"""Reads the files of a repository as text and syntax trees. Never imports or runs them."""

from __future__ import annotations

import ast
import os
import sys
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath

LARGEST_FILE = 1_000_000
"""Bytes; a larger source file is generated, and is skipped."""
MOST_FILES = 20_000
SKIPPED_FOLDERS = {"node_modules", "__pycache__", "site-packages", "venv", "env", "dist", "build", "htmlcov"}
"""In addition to hidden folders and virtual environments of any name."""
TEST_FOLDERS = {"tests", "test", "e2e", "docs", "docs_src", "doc", "examples", "example", "samples", "benchmarks"}


@dataclass(frozen=True, eq=False)
class Module:
    """A Python file."""

    path: PurePosixPath
    """Relative to the repository."""
    text: str
    syntax: ast.Module

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the syntax tree."""
        return list(ast.walk(self.syntax))

    @cached_property
    def origins(self) -> dict[str, str]:
        """Imported name -> full name: `{"FastAPI": "fastapi.FastAPI"}`; a relative import keeps its dots."""
        names: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    names[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom):
                package = "." * node.level + (node.module or "")
                for alias in node.names:
                    joint = "" if package.endswith(".") or not package else "."
                    names[alias.asname or alias.name] = f"{package}{joint}{alias.name}"
        return names

    @cached_property
    def imports(self) -> list[str]:
        """Full names of all imports."""
        names: list[str] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                package = "." * node.level + (node.module or "")
                joint = "" if package.endswith(".") else "."
                names += [f"{package}{joint}{alias.name}" for alias in node.names]
        return names

    @cached_property
    def constants(self) -> dict[str, object]:
        """Name -> literal of each assignment at the module's top level."""
        values: dict[str, object] = {}
        for name, value in assignments(self.syntax.body):
            if isinstance(value, ast.Constant):
                values[name] = value.value
        return values

    def origin(self, node: ast.AST) -> str:
        """Returns the dotted name of an expression, with imports resolved; empty for any other expression."""
        if isinstance(node, ast.Name):
            return self.origins.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self.origin(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""

    def literal(self, node: ast.AST | None) -> object:
        """Returns the value of a literal or of a module constant; None if it is computed at run time."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.constants.get(node.id)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return next((value for part in node.values if (value := self.literal(part)) is not None), None)
        return None


def assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Yields name and value of each assignment of a body, including its if, try and with blocks."""
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value
        elif isinstance(statement, ast.If | ast.With | ast.Try):
            yield from assignments(statement.body)
            if not isinstance(statement, ast.With):
                yield from assignments(statement.orelse)
            if isinstance(statement, ast.Try):
                for handler in statement.handlers:
                    yield from assignments(handler.body)


@dataclass(eq=False)
class SourceTree:
    """A repository's files that matter for a deployment."""

    root: Path
    problems: list[str] = field(default_factory=list)
    """Unreadable files and the reason, one line each."""

    @cached_property
    def files(self) -> dict[PurePosixPath, Path]:
        """Path relative to the root -> path, sorted by name."""
        paths: dict[PurePosixPath, Path] = {}
        for folder, folders, names in os.walk(self.root, onerror=self._unreadable_folder):
            folders[:] = sorted(name for name in folders if not self._is_skipped(Path(folder, name)))
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_symlink() and self._leads_nowhere(path):
                    continue
                paths[PurePosixPath(path.relative_to(self.root).as_posix())] = path
            if len(paths) > MOST_FILES:
                self.problems.append(f"Only the first {MOST_FILES} files were read: run init in the app's own folder")
                break
        return paths

    @cached_property
    def modules(self) -> dict[PurePosixPath, Module]:
        """The Python files that can be parsed."""
        modules: dict[PurePosixPath, Module] = {}
        for path in self.files:
            module = self._parse(path) if path.suffix == ".py" else None
            if module:
                modules[path] = module
        return modules

    @cached_property
    def packages(self) -> set[PurePosixPath]:
        """The folders with a Python file at any depth."""
        return {parent for path in self.modules for parent in path.parents}

    @cached_property
    def program(self) -> list[Module]:
        """The Python files without tests, documentation and the deployment's own."""
        return [module for path, module in self.modules.items() if not is_test(path)]

    def text(self, path: PurePosixPath | str) -> str:
        """Returns a file's text; empty if it is missing or unreadable."""
        data = self._bytes(PurePosixPath(path))
        if data is None:
            return ""
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")

    def has(self, path: PurePosixPath | str) -> bool:
        """Whether the repository has this file."""
        return PurePosixPath(path) in self.files

    def named(self, *names: str) -> list[PurePosixPath]:
        """Returns the files with one of these names, the nearest to the root first."""
        return sorted((path for path in self.files if path.name in names), key=lambda path: (len(path.parts), path))

    def import_roots(self, importer: PurePosixPath) -> list[PurePosixPath]:
        """Returns the possible roots of a file's absolute imports, nearest first."""
        folders = [folder for parent in importer.parents for folder in (parent, parent / "src")]
        return list(dict.fromkeys(folders))

    def resolve(self, dotted: str, importer: Module) -> tuple[Module, str] | None:
        """Returns the module of a dotted name in this repository, and the rest of the name."""
        name = dotted.lstrip(".")
        dots = len(dotted) - len(name)
        parts = name.split(".") if name else []
        if dots:
            if dots > len(importer.path.parents):
                return None
            return self._below(importer.path.parents[dots - 1], parts, is_package=True)
        for root in self.import_roots(importer.path):
            module = self._below(root, parts, is_package=False)
            if module:
                return module
        return None

    def _below(self, folder: PurePosixPath, parts: list[str], *, is_package: bool) -> tuple[Module, str] | None:
        for length in range(len(parts), 0, -1):
            path = folder.joinpath(*parts[:length])
            for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
                if file in self.modules:
                    return self.modules[file], ".".join(parts[length:])
        own = folder / "__init__.py"
        if is_package and own in self.modules:
            return self.modules[own], ".".join(parts)
        return None

    def _is_skipped(self, folder: Path) -> bool:
        try:
            is_environment = (folder / "pyvenv.cfg").is_file()
        except OSError:
            is_environment = False  # an unreadable folder: reading it reports the error
        return folder.name in SKIPPED_FOLDERS or folder.name.startswith(".") or is_environment

    def _leads_nowhere(self, link: Path) -> bool:
        """Whether a link leads out of the repository, or is cyclic."""
        try:
            return not link.resolve(strict=True).is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            return True

    def _unreadable_folder(self, error: OSError) -> None:
        self.problems.append(f"{self._relative(error.filename)} cannot be read: {error.strerror}")

    def _relative(self, path: str) -> str:
        return Path(path).relative_to(self.root).as_posix()

    def _bytes(self, path: PurePosixPath) -> bytes | None:
        file = self.files.get(path)
        if file is None:
            return None
        try:
            if not file.is_file():
                return None
            if file.stat().st_size > LARGEST_FILE:
                self.problems.append(f"{path} was left out: it is larger than {LARGEST_FILE // 1_000_000} MB")
                return None
            return file.read_bytes()
        except OSError as error:
            self.problems.append(f"{path} cannot be read: {error.strerror}")
            return None

    def _parse(self, path: PurePosixPath) -> Module | None:
        data = self._bytes(path)
        if data is None:
            return None
        text = _decode(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # ignores invalid escapes
                return Module(path, text, ast.parse(text))
        except SyntaxError as error:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            self.problems.append(f"{path}:{error.lineno or 0} is not valid Python {version}: {error.msg}")
        except (ValueError, RecursionError) as error:
            self.problems.append(f"{path} cannot be parsed: {error}")
        return None


def _decode(data: bytes) -> str:
    """Decodes a source file by its byte order mark or its coding line; as Latin-1 if that fails."""
    try:
        encoding = tokenize.detect_encoding(BytesIO(data).readline)[0]
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return data.decode("latin-1")


def is_test(path: PurePosixPath) -> bool:
    """Whether a file belongs to tests, documentation or examples."""
    name = path.name
    in_folder = any(part in TEST_FOLDERS for part in path.parts[:-1])
    return in_folder or name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
