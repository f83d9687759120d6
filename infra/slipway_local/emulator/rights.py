"""What decides rights in this emulator: one for requests from outside, and for what ECS does in a role's name."""

from __future__ import annotations

from functools import cache

from slipway_local.emulator.alb.routing import find_load_balancer
from slipway_local.paths import usage_file
from slipway_local.rights.authorizer import Authorizer
from slipway_local.rights.local_authorizer import local_authorizer


@cache
def emulator_authorizer() -> Authorizer:
    """Returns the authorizer of this process.

    Raises:
        ValueError: SLIPWAY_OIDC_ISSUERS is not a JSON object.
    """
    return local_authorizer(usage_file(), lambda host, path: find_load_balancer(host, path) is not None)
