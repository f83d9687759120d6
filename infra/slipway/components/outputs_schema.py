"""Checks the exported outputs of a base environment that another version of the kit may have deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.components.outputs import (
    SCHEMA_VERSION,
    VERSION_KEY,
    ClusterOutputs,
    DataStoreOutputs,
    ExportedOutputs,
    LoadBalancerOutputs,
    NetworkOutputs,
    PreviewSharedOutputs,
    RepositoryOutputs,
)
from slipway.config.errors import SlipwayError

OLDEST_READABLE_VERSION = 1
"""Version of exported outputs below which this kit cannot read them."""

REQUIRED_PARTS: Mapping[str, type[ExportedOutputs]] = {
    "network": NetworkOutputs,
    "load_balancer": LoadBalancerOutputs,
    "cluster": ClusterOutputs,
    "registry": RepositoryOutputs,
}
OPTIONAL_PARTS: Mapping[str, type[ExportedOutputs]] = {
    "database": DataStoreOutputs,
    "cache": DataStoreOutputs,
    "previews": PreviewSharedOutputs,
}


def read_exported_outputs(base: str, exported: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the outputs of the environment `base` with every key that this version of the kit reads.

    A key that an older kit did not export yet gets its default; keys of a newer kit stay and are ignored.

    Raises:
        SlipwayError: The outputs are of another version, or lack a key that has no default. It says which side has to
            be upgraded: the base environment, or the kit of who reads.
    """
    check_outputs_version(base, exported)
    read = dict(exported)
    missing = [name for name in ("key_arn", *REQUIRED_PARTS) if name not in exported]
    for name, part in {**REQUIRED_PARTS, **OPTIONAL_PARTS}.items():
        if name not in exported:
            continue
        read[name] = {**part.default_values(), **exported[name]}
        missing += [f"{name}.{key}" for key in part.exported_fields() if key not in read[name]]
    if missing:
        raise SlipwayError(
            f"The environment {base} was deployed by an older slipway-kit: its outputs lack {', '.join(missing)}.",
            _upgrade_base(base),
        )
    return read


def check_outputs_version(base: str, exported: Mapping[str, Any]) -> None:
    """Checks that this kit can read the outputs of the environment `base`.

    Raises:
        SlipwayError: It cannot; the error says which side has to be upgraded.
    """
    version = int(exported.get(VERSION_KEY, 0))  # an engine returns numbers as 1.0
    if version < OLDEST_READABLE_VERSION:
        raise SlipwayError(
            f"The environment {base} was deployed by an older slipway-kit: its outputs are of version {version}, and "
            f"this one reads {OLDEST_READABLE_VERSION} to {SCHEMA_VERSION}.",
            _upgrade_base(base),
        )
    if version > SCHEMA_VERSION:
        raise SlipwayError(
            f"The environment {base} was deployed by a newer slipway-kit: its outputs are of version {version}, and "
            f"this one reads {OLDEST_READABLE_VERSION} to {SCHEMA_VERSION}.",
            "Upgrade slipway-kit here, to the version that deployed the environment: merge its branch into this one.",
        )


def _upgrade_base(base: str) -> str:
    return f"Upgrade the environment first, with this version of slipway-kit: pulumi up -s {base}"
