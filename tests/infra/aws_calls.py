"""Checks the calls of a fake AWS as boto3 does those of the real one: the operations there are, and their arguments."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator


def check_call(service: str, method: str, given: dict[str, Any]) -> None:
    """Fails where the service's client has no such method, or would refuse the arguments before it sends anything."""
    shapes = _input_shapes(service)
    assert method in shapes, f"boto3's client of {service} has no {method}"
    errors = ParamValidator().validate(given, shapes[method]) if shapes[method] else None
    assert not errors or not errors.has_errors(), f"{service}.{method}: {errors.generate_report()}"


@cache
def _input_shapes(service: str) -> dict[str, Any]:
    """Method -> what it takes; None for nothing."""
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): model.operation_model(name).input_shape for name in model.operation_names}
