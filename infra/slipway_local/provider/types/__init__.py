"""The table of resource types, by their Pulumi tokens: each module is one AWS service."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from slipway_local.provider.resource_type import ResourceType


def _load_resource_types() -> dict[str, ResourceType]:
    found: dict[str, ResourceType] = {}
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, ResourceType) and "type_name" in vars(value):
                found[value.type_name] = value()
    return found


RESOURCE_TYPES = _load_resource_types()
