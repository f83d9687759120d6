"""IAM actions of each resource type's create, read, update and delete, and of each invoke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

ACTIONS_FILE = Path(__file__).with_name("aws_actions.yaml")
OPERATIONS = ("create", "read", "update", "delete")
ANY_TYPE = "*"


@dataclass(frozen=True)
class AwsActions:
    """The table of aws_actions.yaml."""

    types: Mapping[str, Mapping[str, list[str]]]
    """Pulumi type token -> operation -> IAM actions."""
    invokes: Mapping[str, list[str]]
    """Pulumi function token -> IAM actions."""
    roles: Mapping[str, Mapping[str, list[str]]]
    """Stack output with the ARN of a pipeline's role -> type token, or `*` -> operations that run under that role."""

    def operations(self, role: str, type_token: str) -> list[str]:
        """Returns the operations on a resource type that run under a pipeline's role; none if another role has it."""
        by_type = self.roles[role]
        return by_type.get(type_token, by_type.get(ANY_TYPE, []))


@cache
def load_aws_actions() -> AwsActions:
    """Returns the table of aws_actions.yaml."""
    table = yaml.safe_load(ACTIONS_FILE.read_text())
    return AwsActions(table["types"], table["invokes"], table["roles"])
