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
ServiceDeployment = dict[str, Any]
Revision = dict[str, Any]

ACTIVE_STATUSES = ("PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
SUMMARY_FIELDS = (
    *("serviceDeploymentArn", "serviceArn", "clusterArn", "targetServiceRevisionArn"),
    *("createdAt", "startedAt", "finishedAt", "status", "statusReason"),
)
REVISION_FIELDS = (
    "taskDefinition",
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "capacityProviderStrategy",
)
"""What makes a new revision when it changes; the desired count and how to roll out do not."""


def start_deployment(service: Service, deployment: Deployment) -> None:
    """Remember a new deployment of a service, and the revision that it is of."""
    former = current_deployment(service)
    if former and former["status"] in ACTIVE_STATUSES:
        finish_deployment(service, "STOPPED", "A newer service deployment replaced this one.")
    revision = _make_revision(service)
    deployment["_revision"] = revision["serviceRevisionArn"]
    service.setdefault("_revisions", []).append(revision)
    now = _now()
    record = {
        "serviceDeploymentArn": f"{_related_arn(service, 'service-deployment')}/{ecs.new_uuid().replace('-', '')[:21]}",
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


def current_deployment(service: Service) -> ServiceDeployment | None:
    """Returns the newest deployment of a service."""
    history: list[ServiceDeployment] = service.get("_history") or []
    return history[-1] if history else None


def set_deployment_status(service: Service, status: str, reason: str = "") -> None:
    """Sets the status of the newest deployment."""
    record = current_deployment(service)
    if record:
        record |= {"status": status, "updatedAt": _now()} | ({"statusReason": reason} if reason else {})


def finish_deployment(service: Service, status: str, reason: str = "") -> None:
    """End the newest deployment."""
    set_deployment_status(service, status, reason)
    record = current_deployment(service)
    if record:
        record["stoppedAt" if status == "STOPPED" else "finishedAt"] = _now()


def start_rollback(service: Service, reason: str, to: Deployment) -> None:
    """Rolls the newest deployment back to the revision of another one."""
    set_deployment_status(service, "ROLLBACK_IN_PROGRESS", reason)
    record = current_deployment(service)
    if record:
        record["rollback"] = {"reason": reason, "startedAt": _now(), "serviceRevisionArn": to["_revision"]}


def find_revision(service: Service, deployment: Deployment) -> Revision:
    """Returns the service revision that a deployment is of."""
    arn = deployment["_revision"]
    revision: Revision = next(r for r in service["_revisions"] if r["serviceRevisionArn"] == arn)
    return revision


def restore_revision(service: Service, deployment: Deployment) -> None:
    """Gives a service the settings of a former revision: network and load balancers too."""
    revision = find_revision(service, deployment)
    for field in REVISION_FIELDS:
        if field in revision or service.get(field):
            service[field] = copy.deepcopy(revision.get(field))


def record_image_digests(service: Service, task: dict[str, Any], deployment: Deployment) -> None:
    """Records the image digests of a revision's first task as the revision's."""
    revision = next((r for r in service["_revisions"] if r["serviceRevisionArn"] == deployment.get("_revision")), None)
    if revision and not revision["containerImages"]:
        revision["containerImages"] = [
            {"containerName": container["name"], "image": container["image"], "imageDigest": container["imageDigest"]}
            for container in task["containers"]
            if container.get("imageDigest")
        ]


def needs_new_revision(service: Service, data: dict[str, Any]) -> bool:
    """Returns whether an UpdateService changes what a revision is made of."""
    return any(key in data and data[key] != service.get(key) for key in REVISION_FIELDS if key != "taskDefinition")


def list_service_deployments(data: dict[str, Any]) -> Any:
    """ListServiceDeployments: the newest first."""
    name, _ = ecs._resolve_service_ref(data.get("service", "")) or ("", None)
    service = ecs._services.get(f"{ecs._resolve_cluster_name(data.get('cluster', 'default'))}/{name}")
    if not service:
        return ecs.error_response_json("ServiceNotFoundException", "Service not found.", 400)
    statuses = data.get("status") or []
    period = data.get("createdAt") or {}
    matching = [
        {key: value for key, value in record.items() if key in SUMMARY_FIELDS}
        for record in reversed(service.get("_history") or [])
        if (not statuses or record["status"] in statuses)
        and float(period.get("after", 0)) <= record["createdAt"] <= float(period.get("before", "inf"))
    ]
    size = int(data.get("maxResults") or 20)
    start = int(data.get("nextToken") or 0)
    next_page = {"nextToken": str(start + size)} if start + size < len(matching) else {}
    return ecs.json_response({"serviceDeployments": matching[start : start + size]} | next_page)


def describe_service_deployments(data: dict[str, Any]) -> Any:
    """DescribeServiceDeployments."""
    arns = data.get("serviceDeploymentArns") or []
    deployments = {
        record["serviceDeploymentArn"]: _deployment_details(service, record)
        for service in list(ecs._services.values())
        for record in service.get("_history") or []
        if record["serviceDeploymentArn"] in arns
    }
    return _describe_response("serviceDeployments", arns, deployments)


def describe_service_revisions(data: dict[str, Any]) -> Any:
    """DescribeServiceRevisions."""
    arns = data.get("serviceRevisionArns") or []
    revisions = {
        revision["serviceRevisionArn"]: revision
        for service in list(ecs._services.values())
        for revision in service.get("_revisions") or []
        if revision["serviceRevisionArn"] in arns
    }
    return _describe_response("serviceRevisions", arns, revisions)


def _describe_response(name: str, arns: list[str], records: dict[str, ServiceDeployment]) -> Any:
    failures = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in records]
    return ecs.json_response({name: [records[arn] for arn in arns if arn in records], "failures": failures})


def _deployment_details(service: Service, record: ServiceDeployment) -> ServiceDeployment:
    details = {key: value for key, value in record.items() if not key.startswith("_")}
    target_revision = details.pop("targetServiceRevisionArn")
    return details | {
        "targetServiceRevision": revision_task_counts(service, target_revision),
        "sourceServiceRevisions": [revision_task_counts(service, arn) for arn in record["_sources"]],
    }


def revision_task_counts(service: Service, revision: str) -> ServiceDeployment:
    """Returns how many tasks of a revision there are."""
    deployment: Deployment = next((d for d in service["deployments"] if d.get("_revision") == revision), {})
    return {
        "arn": revision,
        "requestedTaskCount": deployment.get("desiredCount", 0),
        "runningTaskCount": deployment.get("runningCount", 0),
        "pendingTaskCount": deployment.get("pendingCount", 0),
    }


def _make_revision(service: Service) -> Revision:
    fields = ("serviceArn", "clusterArn", "launchType", *REVISION_FIELDS)
    return {
        "serviceRevisionArn": f"{_related_arn(service, 'service-revision')}/{random.randrange(10**18, 10**19)}",  # noqa: S311
        "containerImages": [],
        "createdAt": _now(),
    } | {key: copy.deepcopy(service[key]) for key in fields if service.get(key)}


def _now() -> float:
    """In whole milliseconds, as tasks have their times: a task is not older than the deployment that started it."""
    return time.time_ns() // 1_000_000 / 1000


def _related_arn(service: Service, kind: str) -> str:
    """Returns an ARN with the service's path: arn:aws:ecs:region:account:KIND/cluster/service."""
    return str(service["serviceArn"].replace(":service/", f":{kind}/"))
