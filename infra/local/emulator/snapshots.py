"""RDS: snapshots of databases, with what was in them. ministack's hold nothing, and what it restores has no server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import rds

from infra.local.emulator import stores

_COPIED = ("Engine", "EngineVersion", "MasterUsername", "DBName", "AllocatedStorage")


def install() -> None:
    """Copy a database's volume with each snapshot, and begin the database that is restored from one as that."""
    rds._create_snapshot_internal = _with_data(rds._create_snapshot_internal)
    rds._ACTION_MAP["RestoreDBInstanceFromDBSnapshot"] = _restore
    rds._ACTION_MAP["DeleteDBSnapshot"] = _deleted(rds._ACTION_MAP["DeleteDBSnapshot"])


def _with_data(original: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def create(snapshot: str, instance: dict[str, Any]) -> Any:
        stores.keep(instance["DBInstanceIdentifier"], snapshot)
        return original(snapshot, instance)

    return create


def _restore(params: dict[str, Any]) -> Any:
    """The same engine, owner and database; RDS gives the owner a new password, as the kit asks it to."""
    snapshot = rds._snapshots.get(rds._p(params, "DBSnapshotIdentifier"))
    if not snapshot:
        return rds._error("DBSnapshotNotFound", f"DBSnapshot {rds._p(params, 'DBSnapshotIdentifier')} not found.", 404)
    stores.begin(rds._p(params, "DBInstanceIdentifier"), snapshot["DBSnapshotIdentifier"])
    same = {key: [str(snapshot[key])] for key in _COPIED if snapshot.get(key)}
    status, headers, body = rds._ACTION_MAP["CreateDBInstance"](params | same | {"ManageMasterUserPassword": ["true"]})
    text = body.decode() if isinstance(body, bytes) else body
    return status, headers, text.replace("CreateDBInstance", "RestoreDBInstanceFromDBSnapshot").encode()


def _deleted(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def delete(params: dict[str, Any]) -> Any:
        answer = original(params)
        if answer[0] < 400:
            stores.drop(rds._p(params, "DBSnapshotIdentifier"))
        return answer

    return delete
