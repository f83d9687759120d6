"""StopDBInstance and StartDBInstance stop and start the database's container: ministack changes its status only."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import rds

from slipway_local.emulator import docker_host

log = logging.getLogger("slipway.rds")

STOP_TIMEOUT_SECONDS = 30


def install() -> None:
    """Put both in the place of ministack's."""
    rds._ACTION_MAP = rds._ACTION_MAP | {"StopDBInstance": _stop_instance, "StartDBInstance": _start_instance}


def _stop_instance(parameters: Any) -> Any:
    return _change(parameters, "available", "stopping", "stopped", "StopDBInstance")


def _start_instance(parameters: Any) -> Any:
    return _change(parameters, "stopped", "starting", "available", "StartDBInstance")


def _change(parameters: Any, before: str, meanwhile: str, afterwards: str, operation: str) -> Any:
    """Answer with the status `meanwhile`; a thread changes the container, then sets the status `afterwards`."""
    identifier = rds._p(parameters, "DBInstanceIdentifier")
    instance = rds._resolve_instance(identifier)
    if not instance:
        return rds._error("DBInstanceNotFound", f"DBInstance {identifier} not found.", 404)
    if instance["DBInstanceStatus"] != before:
        return rds._error(
            "InvalidDBInstanceState",
            f"Instance {identifier} is not in {before} state. It is {instance['DBInstanceStatus']}.",
            400,
        )
    instance["DBInstanceStatus"] = meanwhile
    name = rds._rds_docker_name(identifier)
    scope = (get_account_id(), get_region())

    def work() -> None:
        with request_scope(*scope):
            try:
                container = docker_host.docker_client().containers.get(name)
                if afterwards == "stopped":
                    container.stop(timeout=STOP_TIMEOUT_SECONDS)
                else:
                    container.start()
                instance["DBInstanceStatus"] = afterwards
            except Exception:
                instance["DBInstanceStatus"] = "failed"
                log.exception("%s of %s", operation, identifier)

    _run(work)
    return rds._single_instance_response(f"{operation}Response", f"{operation}Result", instance)


def _run(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True, name="rds-stop").start()
