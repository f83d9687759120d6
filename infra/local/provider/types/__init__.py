"""The table of resource types, by their Pulumi tokens: each module is one AWS service."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from infra.local.provider.kind import Kind


def _table() -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Kind) and "type_name" in vars(value):
                found[value.type_name] = value()
    return found


TYPES = _table()
