"""A Pulumi provider for the local AWS: the types of `aws` and `docker-build` that the program uses.

`types/` is the table: one short class a resource type. Everything else (`check`, `diff`, secrets, names, tags, what a
refresh compares) is the same for all types and lives in `service.py`.
"""

from __future__ import annotations


def not_emulated_types() -> frozenset[str]:
    """Tokens of the types that live in the engine's state only, for the emulator has nothing like them."""
    from slipway_local.provider.types import RESOURCE_TYPES

    return frozenset(token for token, kind in RESOURCE_TYPES.items() if kind.is_state_only)
