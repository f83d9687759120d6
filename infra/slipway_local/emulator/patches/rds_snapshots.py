"""RDS: snapshots of databases, with what was in them. ministack's hold nothing, and what it restores has no server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import rds

from slipway_local.emulator.patches import rds_elasticache

_RESTORED_FIELDS = ("Engine", "EngineVersion", "MasterUsername", "DBName", "AllocatedStorage")


def install() -> None:
    """Copies a database's volume with each snapshot, and begin the database that is restored from one as that."""
    rds._create_snapshot_internal = _wrap_create_snapshot(rds._create_snapshot_internal)
    rds._ACTION_MAP["RestoreDBInstanceFromDBSnapshot"] = _restore_db_instance_from_snapshot
    rds._ACTION_MAP["DeleteDBSnapshot"] = _wrap_delete_snapshot(rds._ACTION_MAP["DeleteDBSnapshot"])


def _wrap_create_snapshot(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def create(snapshot: str, instance: dict[str, Any]) -> Any:
        rds_elasticache.copy_to_snapshot(instance["DBInstanceIdentifier"], snapshot)
        return original(snapshot, instance)

    return create


def _restore_db_instance_from_snapshot(params: dict[str, Any]) -> Any:
    """Restore an instance with the same engine, owner and database, and a new password, as the kit asks for it."""
    snapshot = rds._snapshots.get(rds._p(params, "DBSnapshotIdentifier"))
    if not snapshot:
        return rds._error("DBSnapshotNotFound", f"DBSnapshot {rds._p(params, 'DBSnapshotIdentifier')} not found.", 404)
    rds_elasticache.set_restore_source(rds._p(params, "DBInstanceIdentifier"), snapshot["DBSnapshotIdentifier"])
    same = {key: [str(snapshot[key])] for key in _RESTORED_FIELDS if snapshot.get(key)}
    status, headers, body = rds._ACTION_MAP["CreateDBInstance"](params | same | {"ManageMasterUserPassword": ["true"]})
    text = body.decode() if isinstance(body, bytes) else body
    return status, headers, text.replace("CreateDBInstance", "RestoreDBInstanceFromDBSnapshot").encode()


def _wrap_delete_snapshot(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def delete(params: dict[str, Any]) -> Any:
        answer = original(params)
        if answer[0] < 400:
            rds_elasticache.delete_snapshot_data(rds._p(params, "DBSnapshotIdentifier"))
        return answer

    return delete
