"""The wire's messages without the SDK that they are a part of."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType


def stub_pulumi_packages() -> None:
    """Lets `pulumi.runtime.proto` be imported without what stands around it, in a process that wants nothing else.

    To import the SDK takes longer than all that a provider does for an `up` that changes nothing, and the engine starts
    two of them for each command.
    """
    spec = find_spec("pulumi")
    (root,) = (spec and spec.submodule_search_locations) or [""]
    for name, path in (("pulumi", root), ("pulumi.runtime", f"{root}/runtime")):
        bare = ModuleType(name)
        bare.__path__ = [path]
        sys.modules[name] = bare
