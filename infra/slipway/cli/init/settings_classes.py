"""Reads pydantic-settings classes: the environment variable of each field."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from slipway.cli.init.env_names import EnvVariable
from slipway.cli.init.sources import Module, SourceTree

BASES = {
    "pydantic_settings.BaseSettings",
    "pydantic_settings.main.BaseSettings",
    "pydantic.BaseSettings",
    "pydantic.v1.BaseSettings",
}
COLLECTIONS = ("list", "List", "set", "Set", "tuple", "Tuple", "dict", "Dict", "Sequence", "frozenset")
DEEPEST = 4
"""Maximum nesting of settings."""


@dataclass(frozen=True, eq=False)
class ClassSource:
    """A class and its file."""

    module: Module
    node: ast.ClassDef


@dataclass
class ClassConfig:
    """A settings class's configuration of variable names."""

    prefix: str = ""
    delimiter: str = ""
    case_sensitive: bool = False
    populates_by_name: bool = False


@dataclass(eq=False)
class SettingsReader:
    """Finds the settings classes of a program and the variables of their fields."""

    tree: SourceTree
    modules: list[Module]
    classes: dict[str, ClassSource] = field(init=False)

    def __post_init__(self) -> None:
        self.classes = {}
        for module in [*self.modules, *self.tree.program]:
            for node in module.nodes:
                if isinstance(node, ast.ClassDef):
                    self.classes.setdefault(node.name, ClassSource(module, node))

    def variables(self) -> Iterator[EnvVariable]:
        """Yields the variables of each settings class of the program."""
        for module in self.modules:
            for node in module.nodes:
                if isinstance(node, ast.ClassDef) and self._is_settings(ClassSource(module, node), 0):
                    yield from self._of_class(ClassSource(module, node))

    def _is_settings(self, source: ClassSource, depth: int) -> bool:
        if depth > DEEPEST:
            return False
        for base in source.node.bases:
            origin = source.module.origin(base)
            if origin in BASES:
                return True
            parent = self.classes.get(origin.rpartition(".")[2])
            if parent and parent.node is not source.node and self._is_settings(parent, depth + 1):
                return True
        return False

    def _lineage(self, source: ClassSource, depth: int = 0) -> list[ClassSource]:
        """Returns the class's bases in this repository, furthest first, and the class."""
        parents = [self.classes.get(source.module.origin(base).rpartition(".")[2]) for base in source.node.bases]
        bases = [p for p in parents if p and p.node is not source.node]
        above = [] if depth > DEEPEST else [s for parent in bases for s in self._lineage(parent, depth + 1)]
        return [*above, source]

    def _of_class(self, source: ClassSource) -> Iterator[EnvVariable]:
        lineage = self._lineage(source)
        config = ClassConfig()
        for member in lineage:
            _read_config(member, config)
        for member in lineage:
            yield from self._fields(member, config, config.prefix, 0)

    def _fields(self, source: ClassSource, config: ClassConfig, prefix: str, depth: int) -> Iterator[EnvVariable]:
        module = source.module
        for statement in source.node.body:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            name = statement.target.id
            if name == "model_config" or name.startswith("_") or "ClassVar" in ast.unparse(statement.annotation):
                continue
            nested = self._nested(module, statement.annotation)
            if nested and depth < DEEPEST and (config.delimiter or self._is_settings(nested, 0)):
                # A nested settings class reads its own names; a nested model needs a delimiter.
                if not self._is_settings(nested, 0):
                    inner = f"{prefix}{_case(name, config)}{config.delimiter}"
                    yield from self._fields(nested, config, inner, depth + 1)
                continue
            yield from self._field(module, statement, config, prefix)

    def _field(
        self, module: Module, statement: ast.AnnAssign, config: ClassConfig, prefix: str
    ) -> Iterator[EnvVariable]:
        target = statement.target
        name = target.id if isinstance(target, ast.Name) else ""
        required, default, aliases = _value(module, statement)
        names = [*aliases]
        if not aliases or config.populates_by_name:
            names.append(prefix + name)
        kind = self._kind(module, statement.annotation)
        for variable in names[:1]:
            yield EnvVariable(
                _case(variable, config),
                module.path,
                statement.lineno,
                required,
                "" if default is None else str(default),
                kind,
                name,
                self._choices(module, statement.annotation),
                prefix if not aliases else "",
            )

    def _kind(self, module: Module, annotation: ast.expr) -> str:
        """Returns the annotation as written, with an alias of the same file resolved."""
        if isinstance(annotation, ast.Name):
            for node in module.syntax.body:
                if isinstance(node, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == annotation.id for target in node.targets
                ):
                    return ast.unparse(node.value)
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return annotation.value
        return ast.unparse(annotation)

    def _nested(self, module: Module, annotation: ast.expr) -> ClassSource | None:
        names = [node for node in ast.walk(annotation) if isinstance(node, ast.Name | ast.Attribute)]
        for node in names:
            source = self.classes.get(module.origin(node).rpartition(".")[2])
            if source and any("BaseModel" in source.module.origin(base) for base in source.node.bases):
                return source
            if source and self._is_settings(source, 0):
                return source
        return None

    def _choices(self, module: Module, annotation: ast.expr) -> tuple[str, ...]:
        for node in ast.walk(annotation):
            if isinstance(node, ast.Subscript) and module.origin(node.value).endswith("Literal"):
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                return tuple(str(part.value) for part in parts if isinstance(part, ast.Constant))
            source = self.classes.get(module.origin(node).rpartition(".")[2])
            if source and any("Enum" in source.module.origin(base) for base in source.node.bases):
                values = (s.value for s in source.node.body if isinstance(s, ast.Assign | ast.AnnAssign))
                return tuple(str(value.value) for value in values if isinstance(value, ast.Constant))
        return ()


def _case(name: str, config: ClassConfig) -> str:
    return name if config.case_sensitive else name.upper()


def _read_config(source: ClassSource, config: ClassConfig) -> None:
    """Adds the values of `model_config`, an inner class Config or the class's keywords."""
    pairs = {keyword.arg: keyword.value for keyword in source.node.keywords}
    for statement in source.node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        is_config = any(isinstance(target, ast.Name) and target.id == "model_config" for target in targets)
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if is_config and isinstance(value, ast.Call):
            pairs |= {keyword.arg: keyword.value for keyword in value.keywords}
        elif is_config and isinstance(value, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
            pairs |= {str(key): item for key, item in zip(keys, value.values, strict=True)}
        elif isinstance(statement, ast.ClassDef) and statement.name == "Config":
            for inner in statement.body:
                if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                    pairs[inner.targets[0].id] = inner.value
    literals = {key: source.module.literal(value) for key, value in pairs.items()}
    config.prefix = str(literals.get("env_prefix") or config.prefix)
    config.delimiter = str(literals.get("env_nested_delimiter") or config.delimiter)
    config.case_sensitive = bool(literals.get("case_sensitive", config.case_sensitive))
    by_name = literals.get("populate_by_name") or literals.get("validate_by_name")
    config.populates_by_name = bool(by_name or config.populates_by_name)


def _value(module: Module, statement: ast.AnnAssign) -> tuple[bool, object, list[str]]:
    """Returns whether a field is required, its default, and its aliases."""
    calls = [node for node in ast.walk(statement.annotation) if isinstance(node, ast.Call)]
    if isinstance(statement.value, ast.Call):
        calls.append(statement.value)
    fields = [call for call in calls if module.origin(call.func).rpartition(".")[2] == "Field"]
    aliases: list[str] = []
    required = statement.value is None
    default = module.literal(statement.value)
    for call in fields:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        for key in ("validation_alias", "alias", "env"):
            if key in keywords and not aliases:
                aliases = _texts(module, keywords[key])
        if call is not statement.value:
            continue
        first = call.args[0] if call.args else keywords.get("default")
        is_ellipsis = isinstance(first, ast.Constant) and first.value is ...
        required = is_ellipsis or (first is None and "default_factory" not in keywords)
        default = None if is_ellipsis else module.literal(first)
    if isinstance(statement.value, ast.Constant) and statement.value.value is ...:
        required, default = True, None
    return required, default, aliases


def _texts(module: Module, node: ast.expr) -> list[str]:
    """Returns the texts of an alias: one, or the choices of AliasChoices or a list."""
    if isinstance(node, ast.Call):
        return [text for arg in node.args for text in _texts(module, arg)]
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [text for item in node.elts for text in _texts(module, item)]
    value = module.literal(node)
    return [value] if isinstance(value, str) else []


def is_json_list(kind: str) -> bool:
    """Whether pydantic-settings reads a field of this type as JSON."""
    return "NoDecode" not in kind and any(kind.split("[")[0].strip().endswith(name) for name in COLLECTIONS)
