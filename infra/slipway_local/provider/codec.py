"""Property values between the engine's wire format and Python: unknowns, secrets, whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the wire format's mark of a secret
OUTPUT_VALUE_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_STRING_VALUE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/properties.go (signatures)
# and plugin/rpc.go (UnknownStringValue).


class Unknown:
    """A value that is known only after the deployment; one object stands for all."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


def decode(struct: struct_pb2.Struct) -> tuple[dict[str, Any], set[str]]:
    """Returns the properties of a message, and the names of those that hold a secret somewhere inside."""
    properties: dict[str, Any] = {}
    secrets: set[str] = set()
    for key, value in struct.fields.items():
        found: list[bool] = []
        properties[key] = _decode_value(value, found)
        if found:
            secrets.add(key)
    return properties, secrets


def encode(properties: Mapping[str, Any], secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """Returns a message of `properties`, those named in `secrets` marked so that the engine encrypts them."""
    struct = struct_pb2.Struct()
    hidden = set(secrets)
    for key, value in properties.items():
        plain = _encode_value(value)
        struct.update(
            {key: {SIGNATURE_KEY: SECRET_SIGNATURE, "value": plain} if key in hidden and plain is not None else plain}
        )
    return struct


def has_unknown(value: Any) -> bool:
    """Returns whether a value is not known yet, in whole or in part."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return value is UNKNOWN


def _decode_value(value: struct_pb2.Value, secrets: list[bool]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_STRING_VALUE else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode_value(item, secrets) for item in value.list_value.values]
    if kind == "struct_value":
        return _decode_object(value.struct_value, secrets)
    return None


def _decode_object(struct: struct_pb2.Struct, secrets: list[bool]) -> Any:
    fields = struct.fields
    if SIGNATURE_KEY in fields:
        signature = fields[SIGNATURE_KEY].string_value
        if signature == SECRET_SIGNATURE:
            secrets.append(True)
            return _decode_value(fields["value"], secrets)
        if signature == OUTPUT_VALUE_SIGNATURE:
            if "secret" in fields and fields["secret"].bool_value:
                secrets.append(True)
            return _decode_value(fields["value"], secrets) if "value" in fields else UNKNOWN
        raise ValueError(f"A value of signature {signature} (an asset, an archive) is not supported.")
    return {key: _decode_value(item, secrets) for key, item in fields.items()}


def _encode_value(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_STRING_VALUE
    if isinstance(value, dict):
        return {key: _encode_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_encode_value(item) for item in value]
    return value
