"""Service Quotas: what a new account may have, which ministack does not know of."""

from __future__ import annotations

import json
from typing import Any

from ministack import app
from ministack.core import router

QUOTA_VALUES = {("fargate", "L-3032A538"): 6.0, ("fargate", "L-36FBB829"): 6.0, ("ec2", "L-0263D0A3"): 5.0}
"""vCPUs of Fargate's tasks, of those on Spot, Elastic IPs: what AWS often begins with."""


def install() -> None:
    """Adds the service to ministack's."""
    router.SERVICE_PATTERNS["servicequotas"] = {
        "target_prefixes": ["ServiceQuotasV20190624"],
        "credential_scope": "servicequotas",
    }
    app.SERVICE_HANDLERS["servicequotas"] = _handle_request


async def _handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    kind = {"Content-Type": "application/x-amz-json-1.1"}
    asked = json.loads(body or b"{}")
    key = asked.get("ServiceCode", ""), asked.get("QuotaCode", "")
    if action != "GetServiceQuota" or key not in QUOTA_VALUES:
        wrong = {"__type": "NoSuchResourceException", "message": f"{action} of {key} is not emulated."}
        return 400, kind, json.dumps(wrong).encode()
    quota = {"ServiceCode": key[0], "QuotaCode": key[1], "Value": QUOTA_VALUES[key], "Adjustable": True}
    return 200, kind, json.dumps({"Quota": quota}).encode()
