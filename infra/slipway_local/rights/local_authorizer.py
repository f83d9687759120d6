"""The rights of the ministack that runs in this process, ready for its layer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from ministack import app as gateway

from slipway_local.rights.authorizer import Authorizer
from slipway_local.rights.ministack_state import MinistackState
from slipway_local.rights.usage import UsageLog
from slipway_local.rights.web_identity import IssuerKeys

ISSUERS = "SLIPWAY_OIDC_ISSUERS"
"""Environment variable: where OIDC issuers are on loopback, as JSON from issuer to address, for tests of a pipeline."""


def local_authorizer(usage: Path | None, is_public: Callable[[str, str], bool]) -> Authorizer:
    """Returns what decides requests to ministack; `usage` is the file that keeps which actions were used.

    Raises:
        ValueError: SLIPWAY_OIDC_ISSUERS is not a JSON object.
    """
    issuers = json.loads(os.environ.get(ISSUERS) or "{}")
    if not isinstance(issuers, dict):
        raise ValueError(f"{ISSUERS} has to be a JSON object from an issuer to its address on loopback.")
    state = MinistackState()
    return Authorizer(state, state, UsageLog(usage), IssuerKeys(addresses=issuers), is_public, bucket_of_host)


def bucket_of_host(host: str) -> str | None:
    """Returns the bucket that a host names, as ministack decides it."""
    bucket: str | None = gateway._extract_s3_vhost_bucket(host)
    is_other = bucket in gateway._NON_S3_VHOST_NAMES or gateway._S3_VHOST_EXCLUDE_RE.search(host)
    return None if is_other else bucket
