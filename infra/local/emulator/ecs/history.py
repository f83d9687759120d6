"""Service deployments and service revisions: what ECS remembers of each rollout, and its calls about them.

A service deployment belongs to one change of a service. A rollback is not another one: the same deployment goes through
ROLLBACK_IN_PROGRESS to ROLLBACK_SUCCESSFUL, which `rolloutState` of DescribeServices does not tell.
"""

from __future__ import annotations

import copy
import random
import time
from typing import Any

from ministack.services import ecs

Service = dict[str, Any]
Deployment = dict[str, Any]
Record = dict[str, Any]

UNDER_WAY = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
BRIEF = (
    *("serviceDeploymentArn", "serviceArn", "clusterArn", "targetServiceRevisionArn"),
    *("createdAt", "startedAt", "finishedAt", "status", "statusReason"),
)
REVISED = ("taskDefinition", "platformVersion", "networkConfiguration", "loadBalancers", "capacityProviderStrategy")
"""What makes a new revision when it changes; the desired count and how to roll out do not."""


def begin(service: Service, deployment: Deployment) -> None:
    """Remember a new deployment of a service, and the revision that it is of."""
    former = current(service)
    if former and former["status"] in UNDER_WAY:
        finish(service, "STOPPED", "A newer service deployment replaced this one.")
    revision = _revision(service)
    deployment["_revision"] = revision["serviceRevisionArn"]
    service.setdefault("_revisions", []).append(revision)
    now = _now()
    record = {
        "serviceDeploymentArn": f"{_of(service, 'service-deployment')}/{ecs.new_uuid().replace('-', '')[:21]}",
        "serviceArn": service["serviceArn"],
        "clusterArn": service["clusterArn"],
        "createdAt": now,
        "startedAt": now,
        "updatedAt": now,
        "targetServiceRevisionArn": revision["serviceRevisionArn"],
        "status": "IN_PROGRESS",
        "deploymentConfiguration": copy.deepcopy(service["deploymentConfiguration"]),
        "_sources": [d["_revision"] for d in service["deployments"] if d is not deployment and d.get("_revision")],
    }
    service.setdefault("_history", []).append(record)
    service["currentServiceDeployment"] = record["serviceDeploymentArn"]


def current(service: Service) -> Record | None:
    """The newest deployment of a service."""
    history: list[Record] = service.get("_history") or []
    return history[-1] if history else None


def change(service: Service, status: str, reason: str = "") -> None:
    """Another status of the newest deployment."""
    record = current(service)
    if record:
        record |= {"status": status, "updatedAt": _now()} | ({"statusReason": reason} if reason else {})


def finish(service: Service, status: str, reason: str = "") -> None:
    """The newest deployment ends."""
    change(service, status, reason)
    record = current(service)
    if record:
        record["stoppedAt" if status == "STOPPED" else "finishedAt"] = _now()


def roll_back(service: Service, reason: str, to: Deployment) -> None:
    """The newest deployment goes back to the revision of another one."""
    change(service, "ROLLBACK_IN_PROGRESS", reason)
    record = current(service)
    if record:
        record["rollback"] = {"reason": reason, "startedAt": _now(), "serviceRevisionArn": to["_revision"]}


def note_images(service: Service, task: dict[str, Any], deployment: Deployment) -> None:
    """The digests that a revision's first task found are the revision's."""
    revision = next((r for r in service["_revisions"] if r["serviceRevisionArn"] == deployment.get("_revision")), None)
    if revision and not revision["containerImages"]:
        revision["containerImages"] = [
            {"containerName": each["name"], "image": each["image"], "imageDigest": each["imageDigest"]}
            for each in task["containers"]
            if each.get("imageDigest")
        ]


def changed(service: Service, data: dict[str, Any]) -> bool:
    """Whether an UpdateService changes what a revision is made of."""
    return any(key in data and data[key] != service.get(key) for key in REVISED if key != "taskDefinition")


def list_deployments(data: dict[str, Any]) -> Any:
    """ListServiceDeployments: the newest first."""
    name, _ = ecs._resolve_service_ref(data.get("service", "")) or ("", None)
    service = ecs._services.get(f"{ecs._resolve_cluster_name(data.get('cluster', 'default'))}/{name}")
    if not service:
        return ecs.error_response_json("ServiceNotFoundException", "Service not found.", 400)
    wanted, period = data.get("status") or [], data.get("createdAt") or {}
    found = [
        {key: value for key, value in record.items() if key in BRIEF}
        for record in reversed(service.get("_history") or [])
        if (not wanted or record["status"] in wanted)
        and float(period.get("after", 0)) <= record["createdAt"] <= float(period.get("before", "inf"))
    ]
    size, start = int(data.get("maxResults") or 20), int(data.get("nextToken") or 0)
    more = {"nextToken": str(start + size)} if start + size < len(found) else {}
    return ecs.json_response({"serviceDeployments": found[start : start + size]} | more)


def describe_deployments(data: dict[str, Any]) -> Any:
    """DescribeServiceDeployments."""
    asked = data.get("serviceDeploymentArns") or []
    found = {
        record["serviceDeploymentArn"]: _full(service, record)
        for service in list(ecs._services.values())
        for record in service.get("_history") or []
        if record["serviceDeploymentArn"] in asked
    }
    return _answer("serviceDeployments", asked, found)


def describe_revisions(data: dict[str, Any]) -> Any:
    """DescribeServiceRevisions."""
    asked = data.get("serviceRevisionArns") or []
    found = {
        revision["serviceRevisionArn"]: revision
        for service in list(ecs._services.values())
        for revision in service.get("_revisions") or []
        if revision["serviceRevisionArn"] in asked
    }
    return _answer("serviceRevisions", asked, found)


def _answer(name: str, asked: list[str], found: dict[str, Record]) -> Any:
    failures = [{"arn": arn, "reason": "MISSING"} for arn in asked if arn not in found]
    return ecs.json_response({name: [found[arn] for arn in asked if arn in found], "failures": failures})


def _full(service: Service, record: Record) -> Record:
    shown = {key: value for key, value in record.items() if not key.startswith("_")}
    target = shown.pop("targetServiceRevisionArn")
    return shown | {
        "targetServiceRevision": counts(service, target),
        "sourceServiceRevisions": [counts(service, arn) for arn in record["_sources"]],
    }


def counts(service: Service, revision: str) -> Record:
    """How many tasks of a revision there are."""
    deployment: Deployment = next((d for d in service["deployments"] if d.get("_revision") == revision), {})
    return {
        "arn": revision,
        "requestedTaskCount": deployment.get("desiredCount", 0),
        "runningTaskCount": deployment.get("runningCount", 0),
        "pendingTaskCount": deployment.get("pendingCount", 0),
    }


def _revision(service: Service) -> Record:
    copied = ("serviceArn", "clusterArn", "launchType", *REVISED)
    return {
        "serviceRevisionArn": f"{_of(service, 'service-revision')}/{random.randrange(10**18, 10**19)}",  # noqa: S311
        "containerImages": [],
        "createdAt": _now(),
    } | {key: copy.deepcopy(service[key]) for key in copied if service.get(key)}


def _now() -> float:
    """In whole milliseconds, as tasks have their times: a task is not older than the deployment that started it."""
    return time.time_ns() // 1_000_000 / 1000


def _of(service: Service, kind: str) -> str:
    """An ARN beside the service's: arn:aws:ecs:region:account:KIND/cluster/service."""
    return str(service["serviceArn"].replace(":service/", f":{kind}/"))
