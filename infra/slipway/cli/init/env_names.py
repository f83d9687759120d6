"""Finds the environment variables that an app reads with os.environ or a configuration library."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from slipway.cli.init.sources import Module, SourceTree

DOTENV_FILES = re.compile(r"^(\.?env|\.env(\..+)?|.*\.env(\.(example|sample|template|dist))?)$")
EXAMPLES = (".example", ".sample", ".template", ".dist")
"""Suffixes of example files; other .env files contain a developer's own secrets."""
DOTENV_LINE = re.compile(r"^\s*(?:#\s*)?(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=[ \t]*(.*)$", re.MULTILINE)
CONFIGS = {
    "starlette.config.Config": "starlette",
    "decouple.config": "decouple",
    "decouple.Config": "decouple",
    "decouple.AutoConfig": "decouple",
    "environs.Env": "environs",
    "environ.Env": "environs",
    "environs.env": "environs",
}
"""Classes, or predefined objects, whose calls read a variable."""
READY_OBJECTS = {"decouple.config", "environs.env"}


@dataclass(frozen=True)
class EnvVariable:
    """A variable that the app reads."""

    name: str
    file: PurePosixPath
    line: int
    required: bool
    """Whether the app fails to start without it."""
    default: str = ""
    """The literal default; empty if there is none, or if it is computed at run time."""
    kind: str = ""
    """Its annotation in the sources: `SecretStr`, `list[str]`; empty if there is none."""
    used_as: str = ""
    """The variable or setting that its value is assigned to."""
    choices: tuple[str, ...] = ()
    """Allowed values, from a Literal or an Enum."""
    prefix: str = ""
    """The settings class's env_prefix in the name."""

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"


def read_variables(module: Module) -> Iterator[EnvVariable]:
    """Yields the variables that a file reads from os.environ or a configuration library, without settings classes."""
    targets = _assigned_to(module)
    fallbacks = _fallbacks(module)
    objects = _config_objects(module)
    for node in module.nodes:
        read = _read(module, node, objects)
        if read is None:
            continue
        name, required, default, prefix = read
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            default = fallbacks.get(node) if default is None else default
            value = "" if default is None else str(default)
            target, line = targets.get(node, ""), getattr(node, "lineno", 0)
            yield EnvVariable(name, module.path, line, required, value, used_as=target, prefix=prefix)


def _read(module: Module, node: ast.AST, objects: dict[str, tuple[str, str]]) -> tuple[str, bool, object, str] | None:
    """Returns name, whether it is required, default and prefix, if a node reads a variable."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        if module.origin(node.value) == "os.environ":
            name = module.literal(node.slice)
            return (name, True, None, "") if isinstance(name, str) else None
        return None
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
        name = module.literal(node.left)
        is_environ = module.origin(node.comparators[0]) == "os.environ"
        return (name, False, None, "") if is_environ and isinstance(name, str) else None
    if not isinstance(node, ast.Call) or not (node.args or node.keywords):
        return None
    name = module.literal(node.args[0] if node.args else node.keywords[0].value)
    if not isinstance(name, str):
        return None
    origin = module.origin(node.func)
    if origin in ("os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault"):
        return name, False, _default(module, node), ""
    base = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    kind, prefix = objects.get(module.origin(base), ("", ""))
    if not kind:
        return None
    has_default = len(node.args) > 1 and kind != "starlette"
    has_default = has_default or any(keyword.arg == "default" for keyword in node.keywords)
    return prefix + name, not has_default, _default(module, node), prefix


def _default(module: Module, call: ast.Call) -> object:
    named = next((keyword.value for keyword in call.keywords if keyword.arg == "default"), None)
    return module.literal(named if named is not None else call.args[1] if len(call.args) > 1 else None)


def _config_objects(module: Module) -> dict[str, tuple[str, str]]:
    """Returns name of each object that reads variables -> its library, and its prefix."""
    objects = {origin: (CONFIGS[origin], "") for origin in READY_OBJECTS}
    for node in module.nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            kind = CONFIGS.get(module.origin(node.value.func), "")
            if not kind or module.origin(node.value.func) in READY_OBJECTS:
                continue
            prefix = next((module.literal(k.value) for k in node.value.keywords if k.arg == "env_prefix"), "")
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    objects[target.id] = (kind, str(prefix or ""))
    return objects


def _fallbacks(module: Module) -> dict[ast.AST, object]:
    """Maps each expression before an `or` to the literal after it: `os.environ.get("PORT") or 8000`."""
    pairs: dict[ast.AST, object] = {}
    for node in module.nodes:
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            rest = [module.literal(value) for value in node.values[1:]]
            pairs[node.values[0]] = next((value for value in rest if value is not None), None)
    return pairs


def _assigned_to(module: Module) -> dict[ast.AST, str]:
    """Maps each expression of an assignment to the assigned name."""
    targets: dict[ast.AST, str] = {}
    for node in module.nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
        targets |= dict.fromkeys(ast.walk(node.value), name)
    return targets


def dotenv_names(tree: SourceTree, folder: PurePosixPath) -> dict[str, str]:
    """Returns name -> example value of each variable in the .env files of a project and of the repository's root.

    Reads values from example files (.env.example) only; those of a developer's own .env are left empty.
    """
    names: dict[str, str] = {}
    for path in tree.files:
        if path.parent not in (folder, PurePosixPath()) or not DOTENV_FILES.match(path.name):
            continue
        is_example = path.name.endswith(EXAMPLES)
        for name, value in DOTENV_LINE.findall(tree.text(path)):
            text = re.sub(r"(^|\s+)#.*$", "", value).strip().strip("'\"")
            if is_example or name not in names:
                names[name] = names.get(name) or (text if is_example else "")
    return names


def merged(variables: list[EnvVariable]) -> list[EnvVariable]:
    """Returns one entry for each name: required if any place requires it, the rest from the first place that has it."""
    by_name: dict[str, EnvVariable] = {}
    for variable in variables:
        first = by_name.get(variable.name)
        by_name[variable.name] = variable if first is None else _both(first, variable)
    return [by_name[name] for name in sorted(by_name)]


def _both(first: EnvVariable, other: EnvVariable) -> EnvVariable:
    # A place with a type is a settings class, which says more than os.environ.
    main, second = (other, first) if other.kind and not first.kind else (first, other)
    return replace(
        main,
        required=first.required or other.required,
        default=main.default or second.default,
        used_as=main.used_as or second.used_as,
        choices=main.choices or second.choices,
    )
