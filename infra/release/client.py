"""AWS for the hooks, which run in the program's process: the account and region that the stack is in."""

from __future__ import annotations

from typing import Any

import boto3
import pulumi


def session() -> Any:
    """As the provider has them: `aws:region` and `aws:profile`, whatever this machine's own default is."""
    config = pulumi.Config("aws")
    return boto3.Session(region_name=config.get("region"), profile_name=config.get("profile"))
