"""Property values between the engine's wire format and Python: unknowns, secrets, whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the wire format's mark of a secret
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/properties.go (signatures)
# and plugin/rpc.go (UnknownStringValue).


class Unknown:
    """A value that is known only after the deployment; one object stands for all."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


def decode(struct: struct_pb2.Struct) -> tuple[dict[str, Any], set[str]]:
    """The properties of a message, and the names of those that hold a secret somewhere inside."""
    properties: dict[str, Any] = {}
    secrets: set[str] = set()
    for key, value in struct.fields.items():
        found: list[bool] = []
        properties[key] = _value(value, found)
        if found:
            secrets.add(key)
    return properties, secrets


def encode(properties: Mapping[str, Any], secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """A message of `properties`, those named in `secrets` marked so that the engine encrypts them."""
    struct = struct_pb2.Struct()
    hidden = set(secrets)
    for key, value in properties.items():
        plain = _plain(value)
        struct.update({key: {SIGNATURE: SECRET, "value": plain} if key in hidden and plain is not None else plain})
    return struct


def has_unknown(value: Any) -> bool:
    """Whether a value is not known yet, in whole or in part."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return value is UNKNOWN


def _value(value: struct_pb2.Value, secrets: list[bool]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_value(item, secrets) for item in value.list_value.values]
    if kind == "struct_value":
        return _object(value.struct_value, secrets)
    return None


def _object(struct: struct_pb2.Struct, secrets: list[bool]) -> Any:
    fields = struct.fields
    if SIGNATURE in fields:
        signature = fields[SIGNATURE].string_value
        if signature == SECRET:
            secrets.append(True)
            return _value(fields["value"], secrets)
        if signature == OUTPUT:
            if "secret" in fields and fields["secret"].bool_value:
                secrets.append(True)
            return _value(fields["value"], secrets) if "value" in fields else UNKNOWN
        raise ValueError(f"A value of signature {signature} (an asset, an archive) is not supported.")
    return {key: _value(item, secrets) for key, item in fields.items()}


def _plain(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value
