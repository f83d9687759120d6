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
from ministack.services import alb, ecs

from infra.local.emulator.alb.health import checker, deregistration_delay
from infra.local.emulator.ecs import breaker, history
from infra.local.emulator.ecs.protection import protected
from infra.local.emulator.ecs.tasks import Task, ending, runs

log = logging.getLogger("slipway.ecs")

TICK_SECONDS = 0.25
STEADY_SECONDS = 5.0
"""How long a task without any health check has to run before it counts as one that works."""
BACKOFF_SECONDS = (0, 1, 2, 4, 8, 16, 32, 60)
"""Pause before the next start, by failures in a row (AWS: a longer and longer delay, minutes at the end)."""

Service = dict[str, Any]
Deployment = dict[str, Any]
_lock = threading.RLock()


def start() -> None:
    """Run the loop for as long as this process lives."""
    threading.Thread(target=_loop, daemon=True, name="ecs-scheduler").start()


def _loop() -> None:
    while not ending.wait(TICK_SECONDS):
        for (account, region, key), service in list(ecs._services.all_items()):
            if service["status"] == "INACTIVE":
                continue
            with request_scope(account, region):
                try:
                    tick(key.split("/")[0], service)
                except Exception:
                    log.exception("service %s", key)


def tick(cluster: str, service: Service) -> None:
    """One look at one service."""
    with _lock:
        tasks = tasks_of(service)
        live = [task for task in tasks if task["desiredStatus"] == "RUNNING"]
        for task in live:
            _register(service, task)
        if service["status"] == "DRAINING":
            _end_of_service(cluster, service, tasks, live)
            return
        primary = service["deployments"][0]
        _count_failures(service, primary, tasks)
        _replace_unhealthy(service, primary, live)
        trouble = breaker.broken(service, primary) if primary["rolloutState"] == "IN_PROGRESS" else ""
        if trouble and not primary.get("_completed"):
            breaker.fail(service, primary, trouble, _event)
            primary = service["deployments"][0]
        _start_new(cluster, service, primary)
        _stop_old(service, primary)
        _count(cluster, service)
        _complete(service, primary)
        breaker.observe(service, primary)


def tasks_of(service: Service) -> list[Task]:
    """All tasks of a service that are not gone yet, or whose end was not looked at yet."""
    group = f"service:{service['serviceName']}"
    return [
        task
        for task in list(ecs._tasks.values())
        if task.get("group") == group
        and task["clusterArn"] == service["clusterArn"]
        and not (task["lastStatus"] == "STOPPED" and task.get("_counted"))
    ]


def healthy(service: Service, task: Task) -> bool:
    """Whether a task runs, passes its containers' checks, and gets traffic from every target group."""
    if task["lastStatus"] != "RUNNING" or task["desiredStatus"] != "RUNNING":
        return False
    targets = _targets(service, task)
    checked = any(record.get("_checked") for record in task["containers"])
    if checked and task["healthStatus"] != "HEALTHY":
        return False
    if not checked and not targets and time.monotonic() - task["_started"] < STEADY_SECONDS:
        return False
    return all(checker.healthy(arn, address, port) for arn, address, port in targets)


def _register(service: Service, task: Task) -> None:
    if task.get("_registered") or task["lastStatus"] != "RUNNING":
        return
    history.note_images(service, task, _deployment(service, task))
    run = runs[task["taskArn"]]
    run.drain = lambda ended: _deregister(service, ended)
    for arn, address, port in _targets(service, task):
        alb.set_targets_for_group(arn, [(address, port)])
    task["_registered"] = True


def _deployment(service: Service, task: Task) -> Deployment:
    return next((d for d in service["deployments"] if d["id"] == task.get("_deployment_id")), {})


def _deregister(service: Service, task: Task) -> float:
    """Take a task out of its target groups; the seconds that AWS lets its requests drain."""
    delay = 0.0
    for arn, address, port in _targets(service, task):
        alb.set_targets_for_group(arn, [], previous_ids=[address])
        checker.drain(arn, address, port)
        delay = max(delay, deregistration_delay(arn))
    return delay


def _targets(service: Service, task: Task) -> list[tuple[str, str, int]]:
    address = ecs._task_ip(task)
    return [
        (balancer["targetGroupArn"], address, int(balancer["containerPort"]))
        for balancer in service.get("loadBalancers") or []
        if address and balancer.get("targetGroupArn") in alb._tgs
    ]


def _count_failures(service: Service, primary: Deployment, tasks: list[Task]) -> None:
    """Count tasks that ended unasked, each once; a healthy task ends the row of failures."""
    if any(healthy(service, t) for t in tasks if t.get("_deployment_id") == primary["id"]):
        primary["_row"] = 0
    for task in tasks:
        if task["lastStatus"] != "STOPPED":
            continue
        task["_counted"] = True
        if task["stopCode"] in ("ServiceSchedulerInitiated", "UserInitiated") and not task["stoppedReason"].startswith(
            "Task failed "
        ):
            continue
        _event(service, f"task {task['taskArn'].rsplit('/', 1)[-1]} stopped: {task['stoppedReason']}")
        if task.get("_deployment_id") == primary["id"]:
            primary["failedTasks"] += 1
            primary["_row"] = primary.get("_row", 0) + 1
            pause = BACKOFF_SECONDS[min(primary["_row"] - 1, len(BACKOFF_SECONDS) - 1)]
            primary["_not_before"] = time.monotonic() + pause


def _replace_unhealthy(service: Service, primary: Deployment, live: list[Task]) -> None:
    """A task that was healthy before is stopped when another is healthy in its place, where `maximumPercent` has room
    for that; all others at once. ECS has no stop code of its own for it.
    """
    for task in live:
        if healthy(service, task):
            task["_proven"] = True
        task["_ill"] = _illness(service, task)
    mine = [task for task in live if task.get("_deployment_id") == primary["id"] and not task["_ill"]]
    replaced = sum(healthy(service, task) for task in mine) >= service["desiredCount"]
    no_room = len(mine) < service["desiredCount"] and len(live) >= _most(service)
    for task in live:
        if task["_ill"] and (replaced or no_room or not task.get("_proven")):
            _stop(task, task["_ill"], "ServiceSchedulerInitiated")


def _illness(service: Service, task: Task) -> str:
    """Why a running task has to be replaced; empty where it need not be."""
    if task["lastStatus"] != "RUNNING":
        return ""
    if task["healthStatus"] == "UNHEALTHY":
        return "Task failed container health checks"
    if time.monotonic() - task["_started"] > float(service.get("healthCheckGracePeriodSeconds") or 0):
        for arn, address, port in _targets(service, task):
            if checker.state(arn, address, port) == "unhealthy":
                if not task.get("_ill"):
                    told = f"(port {port}) is unhealthy in (target-group {arn})"
                    _event(service, f"{told} due to (reason {checker.description(arn, address, port)})")
                return f"Task failed ELB health checks in (target-group {arn})"
    return ""


def _most(service: Service) -> int:
    maximum = (service["deploymentConfiguration"] or {}).get("maximumPercent", 200)
    return int(service["desiredCount"] * maximum // 100)


def _start_new(cluster: str, service: Service, primary: Deployment) -> None:
    if primary["rolloutState"] == "FAILED" or time.monotonic() < primary.get("_not_before", 0):
        return
    live = [task for task in tasks_of(service) if task["desiredStatus"] == "RUNNING"]
    mine = [task for task in live if task.get("_deployment_id") == primary["id"] and not task.get("_ill")]
    room = _most(service) - len(live)
    for _ in range(min(room, service["desiredCount"] - len(mine))):
        _run(cluster, service, primary)


def _run(cluster: str, service: Service, deployment: Deployment) -> None:
    status, _, body = ecs._run_task(
        {
            "cluster": cluster,
            "taskDefinition": deployment["taskDefinition"],
            "group": f"service:{service['serviceName']}",
            "startedBy": deployment["id"],
            "launchType": "FARGATE",
            "networkConfiguration": service.get("networkConfiguration") or {},
            "tags": service.get("tags") or [],
            "_deploymentId": deployment["id"],
        }
    )
    if status >= 400:
        _event(service, f"was unable to place a task: {body!r}")
        deployment["_row"] = deployment.get("_row", 0) + 1


def _stop_old(service: Service, primary: Deployment) -> None:
    """Stop surplus tasks of the primary, and others as far as enough healthy ones stay; none that is protected."""
    live = [task for task in tasks_of(service) if task["desiredStatus"] == "RUNNING"]
    mine = [task for task in live if task.get("_deployment_id") == primary["id"] and not task.get("_ill")]
    surplus = len(mine) - service["desiredCount"]
    if surplus > 0:
        free = [task for task in mine if not protected(task)]
        for task in sorted(free, key=lambda t: healthy(service, t))[:surplus]:
            _stop(task, "Scaling activity initiated by deployment", "ServiceSchedulerInitiated")
    others = [task for task in live if task.get("_deployment_id") != primary["id"] and not protected(task)]
    minimum = (service["deploymentConfiguration"] or {}).get("minimumHealthyPercent", 100)
    needed = math.ceil(service["desiredCount"] * minimum / 100)
    fit = sum(healthy(service, task) for task in live)
    for task in sorted(others, key=lambda t: healthy(service, t)):
        if healthy(service, task):
            if fit <= needed:
                break
            fit -= 1
        _stop(task, f"Scaling activity initiated by deployment {primary['id']}", "ServiceSchedulerInitiated")


def _complete(service: Service, primary: Deployment) -> None:
    tasks = [task for task in tasks_of(service) if task["lastStatus"] != "STOPPED"]
    mine = [t for t in tasks if t.get("_deployment_id") == primary["id"] and healthy(service, t)]
    steady = len(mine) == service["desiredCount"] == len(tasks)
    if not steady or primary["rolloutState"] == "FAILED":
        return
    if primary["rolloutState"] == "IN_PROGRESS":
        if not primary.get("_completed") and not breaker.baked(service, primary):
            return
        rolled_back = (history.current(service) or {}).get("status") == "ROLLBACK_IN_PROGRESS"
        history.finish(service, "ROLLBACK_SUCCESSFUL" if rolled_back else "SUCCESSFUL")
        primary["rolloutState"] = "COMPLETED"
        primary["rolloutStateReason"] = f"ECS deployment {primary['id']} completed."
        primary["_completed"] = True
        primary["updatedAt"] = ecs._iso()
        _event(service, "has reached a steady state.")
    service["deployments"][1:] = []


def _count(cluster: str, service: Service) -> None:
    tasks = tasks_of(service)
    for deployment in service["deployments"]:
        mine = [t for t in tasks if t.get("_deployment_id") == deployment["id"]]
        deployment["runningCount"] = sum(t["lastStatus"] == "RUNNING" for t in mine)
        deployment["pendingCount"] = sum(t["lastStatus"] in ("PROVISIONING", "PENDING") for t in mine)
    service["currentServiceRevisions"] = [
        history.counts(service, d["_revision"]) for d in service["deployments"] if d.get("_revision")
    ]
    service["runningCount"] = sum(t["lastStatus"] == "RUNNING" for t in tasks)
    service["pendingCount"] = sum(t["lastStatus"] in ("PROVISIONING", "PENDING") for t in tasks)
    ecs._recount_cluster(cluster)


def _end_of_service(cluster: str, service: Service, tasks: list[Task], live: list[Task]) -> None:
    for task in live:
        _stop(task, "Service deleted", "ServiceSchedulerInitiated")
    _count(cluster, service)
    if all(task["lastStatus"] == "STOPPED" for task in tasks):
        service["status"] = "INACTIVE"
        ecs._recount_cluster(cluster)


def _stop(task: Task, reason: str, code: str) -> None:
    run = runs.get(task["taskArn"])
    if run:
        run.stop(reason, code)


def _event(service: Service, message: str) -> None:
    text = f"(service {service['serviceName']}) {message}"
    service["events"].insert(0, {"id": ecs.new_uuid(), "createdAt": ecs._iso(), "message": text})
    del service["events"][100:]
    log.info(text)


def reconcile(cluster: str, key: str) -> None:
    """What ministack calls after CreateService and UpdateService: a new deployment is never done at once."""
    service = ecs._services.get(key)
    if service:
        primary = service["deployments"][0]
        if not primary.get("_revision"):
            history.begin(service, primary)
            breaker.begin(service, primary)
        if not primary.get("_completed") and primary["rolloutState"] != "FAILED":
            primary["rolloutState"], primary["rolloutStateReason"] = (
                "IN_PROGRESS",
                f"ECS deployment {primary['id']} in progress.",
            )
        tick(cluster, service)


def roll_back(service: Service, reason: str) -> None:
    """Somebody wants the deployment that is under way to end, and the revision before it back."""
    with _lock:
        primary = service["deployments"][0]
        if not primary.get("_completed"):
            breaker.fail(service, primary, reason, _event, rollback=True)
