"""Services: a loop that brings what runs to what was asked for, as ECS's rolling deployment does.

Each tick looks at one service: it registers and deregisters targets, replaces what failed, starts the new revision
within `maximumPercent`, stops the old one within `minimumHealthyPercent`, counts failures for the circuit breaker, and
calls a deployment COMPLETED only when its tasks are healthy, behind the load balancer too, and the old ones are gone.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import ecs

from slipway_local.emulator.ecs import circuit_breaker, service_deployments
from slipway_local.emulator.ecs.task_health import add_service_event, is_task_healthy, unhealthy_reason
from slipway_local.emulator.ecs.task_network import deregister_targets, register_targets
from slipway_local.emulator.ecs.task_protection import is_protected
from slipway_local.emulator.ecs.tasks import Task, shutting_down, task_runs

log = logging.getLogger("slipway.ecs")

TICK_SECONDS = 0.25
BACKOFF_SECONDS = (0, 1, 2, 4, 8, 16, 32, 60)
"""Pause before the next start, by failures in a row (AWS: a longer and longer delay, minutes at the end)."""

Service = dict[str, Any]
Deployment = dict[str, Any]
_lock = threading.RLock()


def start_scheduler() -> None:
    """Runs the loop for as long as this process lives."""
    threading.Thread(target=_loop, daemon=True, name="ecs-scheduler").start()


def _loop() -> None:
    while not shutting_down.wait(TICK_SECONDS):
        for (account, region, key), service in list(ecs._services.all_items()):
            if service["status"] == "INACTIVE":
                continue
            with request_scope(account, region):
                try:
                    schedule_service(key.split("/")[0], service)
                except Exception:
                    log.exception("service %s", key)


def schedule_service(cluster: str, service: Service) -> None:
    """One look at one service."""
    with _lock:
        tasks = list_service_tasks(service)
        running_tasks = [task for task in tasks if task["desiredStatus"] == "RUNNING"]
        for task in running_tasks:
            _register_targets(service, task)
        if service["status"] == "DRAINING":
            _finish_draining(cluster, service, tasks, running_tasks)
            return
        primary = service["deployments"][0]
        _count_failures(service, primary, tasks)
        _replace_unhealthy(service, primary, running_tasks)
        failure = circuit_breaker.failure_reason(service, primary) if primary["rolloutState"] == "IN_PROGRESS" else ""
        if failure and not primary.get("_completed"):
            circuit_breaker.fail_deployment(service, primary, failure, add_service_event)
            primary = service["deployments"][0]
        _start_new_tasks(cluster, service, primary)
        _stop_old_tasks(service, primary)
        _update_counts(cluster, service)
        _complete_deployment(service, primary)
        circuit_breaker.record_monitors(service, primary)


def list_service_tasks(service: Service) -> list[Task]:
    """All tasks of a service that are not gone yet, or whose end was not looked at yet."""
    group = f"service:{service['serviceName']}"
    return [
        task
        for task in list(ecs._tasks.values())
        if task.get("group") == group
        and task["clusterArn"] == service["clusterArn"]
        and not (task["lastStatus"] == "STOPPED" and task.get("_counted"))
    ]


def _register_targets(service: Service, task: Task) -> None:
    if task.get("_registered") or task["lastStatus"] != "RUNNING":
        return
    service_deployments.record_image_digests(service, task, _find_deployment(service, task))
    run = task_runs[task["taskArn"]]
    run.drain = deregister_targets
    register_targets(task)
    task["_registered"] = True


def _find_deployment(service: Service, task: Task) -> Deployment:
    return next((d for d in service["deployments"] if d["id"] == task.get("_deployment_id")), {})


def _count_failures(service: Service, primary: Deployment, tasks: list[Task]) -> None:
    """Counts tasks that ended unasked, each once; a healthy task ends the row of failures."""
    if any(is_task_healthy(t) for t in tasks if t.get("_deployment_id") == primary["id"]):
        primary["_consecutive_failures"] = 0
    for task in tasks:
        if task["lastStatus"] != "STOPPED":
            continue
        task["_counted"] = True
        if task["stopCode"] in ("ServiceSchedulerInitiated", "UserInitiated") and not task["stoppedReason"].startswith(
            "Task failed "
        ):
            continue
        add_service_event(service, f"task {task['taskArn'].rsplit('/', 1)[-1]} stopped: {task['stoppedReason']}")
        if task.get("_deployment_id") == primary["id"]:
            primary["failedTasks"] += 1
            primary["_consecutive_failures"] = primary.get("_consecutive_failures", 0) + 1
            pause = BACKOFF_SECONDS[min(primary["_consecutive_failures"] - 1, len(BACKOFF_SECONDS) - 1)]
            primary["_not_before"] = time.monotonic() + pause


def _replace_unhealthy(service: Service, primary: Deployment, running_tasks: list[Task]) -> None:
    """Stops unhealthy tasks: one that was healthy before as soon as another is healthy in its place, where
    `maximumPercent` has room for that, all others at once. ECS has no stop code of its own for it.
    """
    for task in running_tasks:
        if is_task_healthy(task):
            task["_was_healthy"] = True
        task["_unhealthy_reason"] = unhealthy_reason(service, task)
    primary_tasks = [
        task for task in running_tasks if task.get("_deployment_id") == primary["id"] and not task["_unhealthy_reason"]
    ]
    is_replaced = sum(is_task_healthy(task) for task in primary_tasks) >= service["desiredCount"]
    is_at_maximum = len(primary_tasks) < service["desiredCount"] and len(running_tasks) >= _max_tasks(service)
    for task in running_tasks:
        if task["_unhealthy_reason"] and (is_replaced or is_at_maximum or not task.get("_was_healthy")):
            _stop_task(task, task["_unhealthy_reason"], "ServiceSchedulerInitiated")


def _max_tasks(service: Service) -> int:
    maximum = (service["deploymentConfiguration"] or {}).get("maximumPercent", 200)
    return int(service["desiredCount"] * maximum // 100)


def _start_new_tasks(cluster: str, service: Service, primary: Deployment) -> None:
    if primary["rolloutState"] == "FAILED" or time.monotonic() < primary.get("_not_before", 0):
        return
    running_tasks = [task for task in list_service_tasks(service) if task["desiredStatus"] == "RUNNING"]
    primary_tasks = [
        task
        for task in running_tasks
        if task.get("_deployment_id") == primary["id"] and not task.get("_unhealthy_reason")
    ]
    free_slots = _max_tasks(service) - len(running_tasks)
    for _ in range(min(free_slots, service["desiredCount"] - len(primary_tasks))):
        _run_task(cluster, service, primary)


def _run_task(cluster: str, service: Service, deployment: Deployment) -> None:
    """Starts a task of a deployment, with the network and the load balancers of its revision."""
    revision = service_deployments.find_revision(service, deployment)
    status, _, body = ecs._run_task(
        {
            "cluster": cluster,
            "taskDefinition": deployment["taskDefinition"],
            "group": f"service:{service['serviceName']}",
            "startedBy": deployment["id"],
            "launchType": "FARGATE",
            "networkConfiguration": revision.get("networkConfiguration") or {},
            "enableExecuteCommand": bool(service.get("enableExecuteCommand")),
            "tags": service.get("tags") or [],
            "_deploymentId": deployment["id"],
            "_loadBalancers": revision.get("loadBalancers") or [],
        }
    )
    if status >= 400:
        add_service_event(service, f"was unable to place a task: {body!r}")
        deployment["_consecutive_failures"] = deployment.get("_consecutive_failures", 0) + 1


def _stop_old_tasks(service: Service, primary: Deployment) -> None:
    """Stops surplus tasks of the primary, and others as far as enough healthy ones stay; none that is protected."""
    running_tasks = [task for task in list_service_tasks(service) if task["desiredStatus"] == "RUNNING"]
    primary_tasks = [
        task
        for task in running_tasks
        if task.get("_deployment_id") == primary["id"] and not task.get("_unhealthy_reason")
    ]
    surplus = len(primary_tasks) - service["desiredCount"]
    if surplus > 0:
        unprotected = [task for task in primary_tasks if not is_protected(task)]
        for task in sorted(unprotected, key=lambda t: is_task_healthy(t))[:surplus]:
            _stop_task(task, "Scaling activity initiated by deployment", "ServiceSchedulerInitiated")
    old_tasks = [
        task for task in running_tasks if task.get("_deployment_id") != primary["id"] and not is_protected(task)
    ]
    minimum = (service["deploymentConfiguration"] or {}).get("minimumHealthyPercent", 100)
    needed = math.ceil(service["desiredCount"] * minimum / 100)
    healthy_count = sum(is_task_healthy(task) for task in running_tasks)
    for task in sorted(old_tasks, key=lambda t: is_task_healthy(t)):
        if is_task_healthy(task):
            if healthy_count <= needed:
                break
            healthy_count -= 1
        _stop_task(task, f"Scaling activity initiated by deployment {primary['id']}", "ServiceSchedulerInitiated")


def _complete_deployment(service: Service, primary: Deployment) -> None:
    tasks = [task for task in list_service_tasks(service) if task["lastStatus"] != "STOPPED"]
    healthy_tasks = [t for t in tasks if t.get("_deployment_id") == primary["id"] and is_task_healthy(t)]
    is_steady = len(healthy_tasks) == service["desiredCount"] == len(tasks)
    if not is_steady or primary["rolloutState"] == "FAILED":
        return
    if primary["rolloutState"] == "IN_PROGRESS":
        if not primary.get("_completed") and not circuit_breaker.is_bake_time_over(service, primary):
            return
        is_rollback = (service_deployments.current_deployment(service) or {}).get("status") == "ROLLBACK_IN_PROGRESS"
        service_deployments.finish_deployment(service, "ROLLBACK_SUCCESSFUL" if is_rollback else "SUCCESSFUL")
        primary["rolloutState"] = "COMPLETED"
        primary["rolloutStateReason"] = f"ECS deployment {primary['id']} completed."
        primary["_completed"] = True
        primary["updatedAt"] = ecs._iso()
        add_service_event(service, "has reached a steady state.")
    service["deployments"][1:] = []


def _update_counts(cluster: str, service: Service) -> None:
    tasks = list_service_tasks(service)
    for deployment in service["deployments"]:
        deployment_tasks = [t for t in tasks if t.get("_deployment_id") == deployment["id"]]
        deployment["runningCount"] = sum(t["lastStatus"] == "RUNNING" for t in deployment_tasks)
        deployment["pendingCount"] = sum(t["lastStatus"] in ("PROVISIONING", "PENDING") for t in deployment_tasks)
    service["currentServiceRevisions"] = [
        service_deployments.revision_task_counts(service, d["_revision"])
        for d in service["deployments"]
        if d.get("_revision")
    ]
    service["runningCount"] = sum(t["lastStatus"] == "RUNNING" for t in tasks)
    service["pendingCount"] = sum(t["lastStatus"] in ("PROVISIONING", "PENDING") for t in tasks)
    ecs._recount_cluster(cluster)


def _finish_draining(cluster: str, service: Service, tasks: list[Task], running_tasks: list[Task]) -> None:
    for task in running_tasks:
        _stop_task(task, "Service deleted", "ServiceSchedulerInitiated")
    _update_counts(cluster, service)
    if all(task["lastStatus"] == "STOPPED" for task in tasks):
        service["status"] = "INACTIVE"
        ecs._recount_cluster(cluster)


def _stop_task(task: Task, reason: str, code: str) -> None:
    run = task_runs.get(task["taskArn"])
    if run:
        run.stop(reason, code)


def reconcile_service(cluster: str, key: str) -> None:
    """Starts the deployment of a service that was created or updated; ministack calls this after both."""
    service = ecs._services.get(key)
    if service:
        primary = service["deployments"][0]
        if not primary.get("_revision"):
            service_deployments.start_deployment(service, primary)
            circuit_breaker.ignore_active_alarms(service, primary)
        if not primary.get("_completed") and primary["rolloutState"] != "FAILED":
            primary["rolloutState"] = "IN_PROGRESS"
            primary["rolloutStateReason"] = f"ECS deployment {primary['id']} in progress."
        schedule_service(cluster, service)


def roll_back_deployment(service: Service, reason: str) -> None:
    """Request to stop the deployment in progress and to roll back to the previous revision."""
    with _lock:
        primary = service["deployments"][0]
        if not primary.get("_completed"):
            circuit_breaker.fail_deployment(service, primary, reason, add_service_event, rollback=True)
