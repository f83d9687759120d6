"""The calls of ECS's API that this package answers in place of ministack."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ministack.services import ecs

from infra.local.emulator.ecs import changes, history, protection, scheduler, tasks
from infra.local.emulator.ecs.containers import unsupported
from infra.local.emulator.ecs.dependencies import refused


def install() -> None:
    """Put the task runner and the scheduler in the place of ministack's."""
    ecs._run_task_worker = tasks.begin
    ecs._reconcile_service_tasks = scheduler.reconcile
    ecs._ensure_ecs_reaper_thread = lambda: None
    ecs._maybe_mark_stopped = lambda *_: None
    ecs._ts_to_epoch = _precise
    replaced = {
        "StopTask": _stop_task,
        "DeleteService": _delete_service,
        "RegisterTaskDefinition": _register_task_definition,
        "UpdateService": _update_service,
        "ListServiceDeployments": history.list_deployments,
        "DescribeServiceDeployments": history.describe_deployments,
        "DescribeServiceRevisions": history.describe_revisions,
        "StopServiceDeployment": _stop_service_deployment,
        "UpdateTaskProtection": protection.update,
        "GetTaskProtection": protection.get,
    }
    ecs._ACTION_MAP.update(replaced)
    changes.start()
    scheduler.start()


_ministack_register = ecs._register_task_definition


def _register_task_definition(data: dict[str, Any]) -> Any:
    """Refuse what would be ignored, rather than run something else than was asked for."""
    for container in data.get("containerDefinitions", []):
        beyond = unsupported(container)
        if beyond:
            names = ", ".join(beyond)
            return _error("ClientException", f"The local ECS has no {names} (container {container['name']}).")
    depends = refused(data.get("containerDefinitions", []))
    if depends:
        return _error("ClientException", depends)
    return _ministack_register(data)


_ministack_update = ecs._update_service


def _update_service(data: dict[str, Any]) -> Any:
    """A change of the network or the load balancers is a new deployment too, of the same task definition."""
    service = _service(data)
    if service and history.changed(service, data):
        data = data | {"forceNewDeployment": True}
    return _ministack_update(data)


def _stop_service_deployment(data: dict[str, Any]) -> Any:
    """Go back to the last revision that completed; ECS offers no other way to stop a rollout."""
    arn = data.get("serviceDeploymentArn", "")
    for service in list(ecs._services.values()):
        record = history.current(service)
        if record and record["serviceDeploymentArn"] == arn and record["status"] in history.UNDER_WAY:
            scheduler.roll_back(service, "Service deployment rollback requested by user.")
            return ecs.json_response({"serviceDeploymentArn": arn})
    return _error("ServiceDeploymentNotFoundException", "No such service deployment is under way.")


def _precise(value: Any) -> Any:
    """ministack's times are cut to whole seconds, and AWS's are not: their order would be lost."""
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value


def _service(data: dict[str, Any]) -> dict[str, Any] | None:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    name, _ = ecs._resolve_service_ref(data.get("service", "")) or ("", None)
    found: dict[str, Any] | None = ecs._services.get(f"{cluster}/{name}")
    return found


def _stop_task(data: dict[str, Any]) -> Any:
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    task = ecs._resolve_task(data.get("task", ""), cluster)
    if not task:
        return _error("InvalidParameterException", "The referenced task was not found.")
    run = tasks.runs.get(task["taskArn"])
    if run and task["lastStatus"] != "STOPPED":
        run.stop(data.get("reason") or "Task stopped by user", "UserInitiated")
    return ecs.json_response({"task": ecs._sanitize(task)})


def _delete_service(data: dict[str, Any]) -> Any:
    """AWS answers at once with a service that drains; it is INACTIVE when its last task has stopped."""
    service = _service(data)
    if not service or service["status"] == "INACTIVE":
        return _error("ServiceNotFoundException", "Service not found.")
    if service.get("desiredCount", 0) > 0 and not data.get("force"):
        return _error("InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
    service["status"], service["desiredCount"] = "DRAINING", 0
    return ecs.json_response({"service": ecs._sanitize(service)})


def _error(code: str, message: str) -> Any:
    return ecs.error_response_json(code, message, 400)
