"""The calls of ECS's API that this package answers in place of ministack."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ministack.services import ecs

from slipway_local.emulator.ecs import (
    docker_events,
    execute_command,
    service_deployments,
    service_scheduler,
    task_network,
    task_protection,
    tasks,
)
from slipway_local.emulator.ecs.containers import unsupported_fields
from slipway_local.emulator.ecs.dependencies import dependency_error


def install() -> None:
    """Puts the task runner and the scheduler in the place of ministack's."""
    ecs._run_task_worker = tasks.run_task_worker
    ecs._run_task = task_network.wrap_run_task(ecs._run_task)
    ecs._reconcile_service_tasks = service_scheduler.reconcile_service
    ecs._ensure_ecs_reaper_thread = lambda: None
    ecs._maybe_mark_stopped = lambda *_: None
    ecs._ts_to_epoch = _to_epoch
    actions = {
        "RunTask": ecs._run_task,
        "StopTask": _stop_task,
        "DeleteService": _delete_service,
        "RegisterTaskDefinition": _register_task_definition,
        "UpdateService": _update_service,
        "ListServiceDeployments": service_deployments.list_service_deployments,
        "DescribeServiceDeployments": service_deployments.describe_service_deployments,
        "DescribeServiceRevisions": service_deployments.describe_service_revisions,
        "StopServiceDeployment": _stop_service_deployment,
        "ExecuteCommand": execute_command.execute_command,
        "UpdateTaskProtection": task_protection.update_task_protection,
        "GetTaskProtection": task_protection.get_task_protection,
    }
    ecs._ACTION_MAP.update(actions)
    docker_events.start_listener()
    service_scheduler.start_scheduler()


_ministack_register = ecs._register_task_definition


def _register_task_definition(data: dict[str, Any]) -> Any:
    """Refuses what would be ignored, rather than run something else than was asked for."""
    for container in data.get("containerDefinitions", []):
        unsupported = unsupported_fields(container)
        if unsupported:
            names = ", ".join(unsupported)
            return _error("ClientException", f"The local ECS has no {names} (container {container['name']}).")
    error = dependency_error(data.get("containerDefinitions", []))
    if error:
        return _error("ClientException", error)
    return _ministack_register(data)


_ministack_update = ecs._update_service


def _update_service(data: dict[str, Any]) -> Any:
    """Starts a new deployment of the same task definition when the network or the load balancers change, too."""
    service = _find_service(data)
    if service and service_deployments.needs_new_revision(service, data):
        data = data | {"forceNewDeployment": True}
    return _ministack_update(data)


def _stop_service_deployment(data: dict[str, Any]) -> Any:
    """Go back to the last revision that completed; ECS offers no other way to stop a rollout."""
    arn = data.get("serviceDeploymentArn", "")
    for service in list(ecs._services.values()):
        record = service_deployments.current_deployment(service)
        if record and record["serviceDeploymentArn"] == arn and record["status"] in service_deployments.ACTIVE_STATUSES:
            service_scheduler.roll_back_deployment(service, "Service deployment rollback requested by user.")
            return ecs.json_response({"serviceDeploymentArn": arn})
    return _error("ServiceDeploymentNotFoundException", "No such service deployment is under way.")


def _to_epoch(value: Any) -> Any:
    """ministack's times are cut to whole seconds, and AWS's are not: their order would be lost."""
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value


def _find_service(data: dict[str, Any]) -> dict[str, Any] | None:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    name, _ = ecs._resolve_service_ref(data.get("service", "")) or ("", None)
    service: dict[str, Any] | None = ecs._services.get(f"{cluster}/{name}")
    return service


def _stop_task(data: dict[str, Any]) -> Any:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    task = ecs._resolve_task(data.get("task", ""), cluster)
    if not task:
        return _error("InvalidParameterException", "The referenced task was not found.")
    run = tasks.task_runs.get(task["taskArn"])
    if run and task["lastStatus"] != "STOPPED":
        run.stop(data.get("reason") or "Task stopped by user", "UserInitiated")
    return ecs.json_response({"task": ecs._sanitize(task)})


def _delete_service(data: dict[str, Any]) -> Any:
    """AWS answers at once with a service that drains; it is INACTIVE when its last task has stopped."""
    service = _find_service(data)
    if not service or service["status"] == "INACTIVE":
        return _error("ServiceNotFoundException", "Service not found.")
    if service.get("desiredCount", 0) > 0 and not data.get("force"):
        return _error("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
    service["status"] = "DRAINING"
    service["desiredCount"] = 0
    return ecs.json_response({"service": ecs._sanitize(service)})


def _error(code: str, message: str) -> Any:
    return ecs.error_response_json(code, message, 400)
