"""RDS: the managed master password of an instance, which ministack has for clusters only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import rds, secretsmanager

from slipway_local.emulator.patches import rds_elasticache

_secret_arns: dict[str, str] = {}
"""Database instance -> ARN of the secret that RDS keeps for it."""


def install() -> None:
    """Creates the secret with the instance, names it in descriptions, deletes it and the data with the instance."""
    rds._create_db_instance_impl = _wrap_create_db_instance(rds._create_db_instance_impl)
    rds._instance_xml = _wrap_instance_xml(rds._instance_xml)
    rds._ACTION_MAP["DeleteDBInstance"] = _wrap_delete_db_instance(rds._ACTION_MAP["DeleteDBInstance"])


def _wrap_create_db_instance(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(params: dict[str, Any]) -> Any:
        managed = rds._p(params, "ManageMasterUserPassword") == "true"
        if not managed or rds._p(params, "DBClusterIdentifier"):
            return original(params)
        password = rds._generate_master_user_password()
        user = rds._p(params, "MasterUsername") or "postgres"
        wrap = isinstance(params.get("MasterUsername"), list)
        answer = original(params | {"MasterUserPassword": [password] if wrap else password})
        if answer[0] < 400:
            name = rds._p(params, "DBInstanceIdentifier")
            _secret_arns[name] = secretsmanager.create_secret_in_process(
                f"rds!db-{rds.new_uuid()}",
                json.dumps({"username": user, "password": password}),
                description=f"Secret managed by RDS for DB instance {name}",
            )
        return answer

    return create


def _wrap_instance_xml(original: Callable[[Any], str]) -> Callable[[Any], str]:
    def describe(instance: dict[str, Any]) -> str:
        arn = _secret_arns.get(instance["DBInstanceIdentifier"])
        if not arn:
            return original(instance)
        return (
            f"{original(instance)}<MasterUserSecret><SecretArn>{escape(arn)}</SecretArn>"
            "<SecretStatus>active</SecretStatus></MasterUserSecret>"
        )

    return describe


def _wrap_delete_db_instance(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def delete(params: dict[str, Any]) -> Any:
        answer = original(params)
        arn = _secret_arns.pop(rds._p(params, "DBInstanceIdentifier"), None) if answer[0] < 400 else None
        if answer[0] < 400:
            rds_elasticache.delete_database_data(rds._p(params, "DBInstanceIdentifier"))
        if arn:
            secretsmanager._delete_secret({"SecretId": arn, "ForceDeleteWithoutRecovery": True})
        return answer

    return delete
