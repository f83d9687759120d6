"""Errors of the provider's gRPC calls."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from pulumi.runtime.proto import provider_pb2, status_pb2

from slipway_local.provider.resource_type import InitFailed


def abort_call(context: Any, message: str) -> None:
    """End a call with an error that the engine shows on the resource."""
    context.abort(grpc.StatusCode.UNKNOWN, message)


def abort_init_failed(context: Any, failure: InitFailed, properties: Any) -> None:
    """Tell the engine that the resource exists and why it is not well: it goes into the state."""
    detail = any_pb2.Any()
    detail.Pack(provider_pb2.ErrorResourceInitFailed(id=failure.id, properties=properties, reasons=[failure.reason]))
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=failure.reason, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, failure.reason)
