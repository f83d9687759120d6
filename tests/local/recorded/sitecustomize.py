"""Read by Python at its start, with this folder on PYTHONPATH: each call of AWS is a line of the file SLIPWAY_CALLS."""

import os
from pathlib import Path
from typing import Any

from botocore.client import BaseClient

_make = BaseClient._make_api_call


def _recorded(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
    with Path(os.environ["SLIPWAY_CALLS"]).open("a") as file:
        file.write(f"{self.meta.service_model.signing_name}:{operation}\n")
    return _make(self, operation, parameters)


BaseClient._make_api_call = _recorded
