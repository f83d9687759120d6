"""ECS: clusters, task definitions, services."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from infra.local.provider.kind import Context, InitFailed, Kind, Properties, set_of, tag_list

STEADY_SECONDS = 900
"""How long a service may take to become steady; the circuit breaker ends most failures much earlier."""
DRAIN_SECONDS = 300


class Cluster(Kind):
    type_name = "aws:ecs/cluster:Cluster"
    inputs = set_of("name settings tags tagsAll")
    replace = set_of("name")
    named = ("name", 255)

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("ecs").create_cluster(
            clusterName=given["name"],
            settings=given.get("settings") or [],
            tags=tag_list(given, "key", "value"),
        )["cluster"]
        return made["clusterArn"], {"arn": made["clusterArn"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("ecs").describe_clusters(clusters=[id], include=["SETTINGS"])["clusters"]
        if not found or found[0]["status"] == "INACTIVE":
            return None
        return {"name": found[0]["clusterName"], "arn": id, "settings": found[0].get("settings")}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecs").update_cluster_settings(cluster=id, settings=new.get("settings") or [])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ecs").delete_cluster(cluster=id)


class ClusterCapacityProviders(Kind):
    type_name = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
    inputs = set_of("clusterName capacityProviders defaultCapacityProviderStrategies")
    replace = set_of("clusterName")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        self.update(aws, given["clusterName"], {}, given)
        return given["clusterName"], {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("ecs").describe_clusters(clusters=[id])["clusters"]
        if not found or found[0]["status"] == "INACTIVE":
            return None
        return {"clusterName": id, "capacityProviders": found[0].get("capacityProviders")}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecs").put_cluster_capacity_providers(
            cluster=new["clusterName"],
            capacityProviders=new.get("capacityProviders") or [],
            defaultCapacityProviderStrategy=new.get("defaultCapacityProviderStrategies") or [],
        )
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ecs").put_cluster_capacity_providers(cluster=id, capacityProviders=[], defaultCapacityProviderStrategy=[])


class TaskDefinition(Kind):
    """Any change is a new revision; the old one is deregistered when it is replaced."""

    type_name = "aws:ecs/taskDefinition:TaskDefinition"
    inputs = set_of(
        "family containerDefinitions requiresCompatibilities networkMode cpu memory runtimePlatform",
        "volumes executionRoleArn taskRoleArn ephemeralStorage skipDestroy tags tagsAll",
    )
    replace = inputs - {"skipDestroy"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        plain = ("family", "requiresCompatibilities", "networkMode", "cpu", "memory", "executionRoleArn", "taskRoleArn")
        platform = given.get("runtimePlatform") or {}
        made = aws("ecs").register_task_definition(
            containerDefinitions=json.loads(given["containerDefinitions"]),
            volumes=[{"name": volume["name"]} for volume in given.get("volumes") or []],
            **{key: given[key] for key in plain if given.get(key) is not None},
            **({"runtimePlatform": platform} if platform else {}),
            **({"ephemeralStorage": given["ephemeralStorage"]} if given.get("ephemeralStorage") else {}),
            tags=tag_list(given, "key", "value"),
        )["taskDefinition"]
        arn = made["taskDefinitionArn"]
        return given["family"], {
            "arn": arn,
            "arnWithoutRevision": arn.rsplit(":", 1)[0],
            "revision": made["revision"],
        }

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("ecs").describe_task_definition(taskDefinition=known.get("arn", id))["taskDefinition"]
        if found["status"] != "ACTIVE":
            return None
        return {
            "arn": found["taskDefinitionArn"],
            "family": found["family"],
            "revision": found["revision"],
            "containerDefinitions": json.dumps(found["containerDefinitions"]),
            "cpu": found.get("cpu"),
            "memory": found.get("memory"),
            "networkMode": found.get("networkMode"),
            "executionRoleArn": found.get("executionRoleArn"),
            "taskRoleArn": found.get("taskRoleArn"),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        if not known.get("skipDestroy"):
            aws("ecs").deregister_task_definition(taskDefinition=known["arn"])


class Service(Kind):
    """Waits for a steady state where `waitForSteadyState` is set, and fails when ECS rolled the deployment back."""

    type_name = "aws:ecs/service:Service"
    inputs = set_of(
        "name cluster taskDefinition desiredCount launchType capacityProviderStrategies platformVersion",
        "networkConfiguration loadBalancers deploymentCircuitBreaker deploymentMinimumHealthyPercent",
        "deploymentMaximumPercent healthCheckGracePeriodSeconds enableEcsManagedTags propagateTags",
        "waitForSteadyState forceNewDeployment tags tagsAll",
    )
    replace = set_of("name cluster launchType")
    named = ("name", 255)
    defaults: ClassVar = {"deploymentMinimumHealthyPercent": 100, "deploymentMaximumPercent": 200}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("ecs").create_service(
            serviceName=given["name"],
            cluster=given["cluster"],
            desiredCount=given.get("desiredCount", 0),
            loadBalancers=given.get("loadBalancers") or [],
            enableECSManagedTags=bool(given.get("enableEcsManagedTags")),
            propagateTags=given.get("propagateTags", "NONE"),
            tags=tag_list(given, "key", "value"),
            **({"launchType": given["launchType"]} if given.get("launchType") else {}),
            **self._changeable(given),
        )["service"]
        arn = made["serviceArn"]
        if given.get("waitForSteadyState"):
            self._steady(aws, arn, given)
        return arn, {"arn": arn}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        cluster = known.get("cluster") or id.split("/")[1]
        found = aws("ecs").describe_services(cluster=cluster, services=[id])["services"]
        if not found or found[0]["status"] == "INACTIVE":
            return None
        service = found[0]
        network = (service.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}
        return {
            "arn": id,
            "name": service["serviceName"],
            "cluster": service["clusterArn"],
            "taskDefinition": service["taskDefinition"],
            "desiredCount": service["desiredCount"],
            "loadBalancers": service.get("loadBalancers"),
            "networkConfiguration": {
                "subnets": network.get("subnets"),
                "securityGroups": network.get("securityGroups"),
                "assignPublicIp": network.get("assignPublicIp") == "ENABLED",
            },
            "healthCheckGracePeriodSeconds": service.get("healthCheckGracePeriodSeconds"),
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecs").update_service(
            service=id,
            cluster=new["cluster"],
            **({"desiredCount": new["desiredCount"]} if "desiredCount" in new else {}),
            **({"loadBalancers": new["loadBalancers"]} if new.get("loadBalancers") else {}),
            forceNewDeployment=bool(new.get("forceNewDeployment")),
            **self._changeable(new),
        )
        if new.get("waitForSteadyState"):
            self._steady(aws, id, new)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("ecs").delete_service(cluster=known["cluster"], service=id, force=True)

        def inactive() -> bool:
            found = aws("ecs").describe_services(cluster=known["cluster"], services=[id])["services"]
            return not found or found[0]["status"] == "INACTIVE"

        aws.wait(inactive, DRAIN_SECONDS, f"the end of {id}")

    def _changeable(self, given: Properties) -> dict[str, Any]:
        network = given.get("networkConfiguration")
        breaker = given.get("deploymentCircuitBreaker") or {"enable": False, "rollback": False}
        found: dict[str, Any] = {
            "taskDefinition": given["taskDefinition"],
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": breaker,
                "maximumPercent": given["deploymentMaximumPercent"],
                "minimumHealthyPercent": given["deploymentMinimumHealthyPercent"],
            },
        }
        if network:
            found["networkConfiguration"] = {
                "awsvpcConfiguration": {
                    "subnets": network["subnets"],
                    "securityGroups": network.get("securityGroups") or [],
                    "assignPublicIp": "ENABLED" if network.get("assignPublicIp") else "DISABLED",
                }
            }
        if given.get("capacityProviderStrategies"):
            found["capacityProviderStrategy"] = given["capacityProviderStrategies"]
        for key in ("platformVersion", "healthCheckGracePeriodSeconds"):
            if given.get(key) is not None:
                found[key] = given[key]
        return found

    def _steady(self, aws: Context, arn: str, given: Properties) -> None:
        """Wait until the revision that was asked for is the one that serves; else say why it is not."""
        verdict: list[str] = []

        def done() -> bool:
            service = aws("ecs").describe_services(cluster=given["cluster"], services=[arn])["services"][0]
            primary = service["deployments"][0]
            failed = [d for d in service["deployments"] if d.get("rolloutState") == "FAILED"]
            other = primary["taskDefinition"] != given["taskDefinition"]
            if other or failed:
                verdict.append(_why(aws, given["cluster"], service, rolled_back=other))
                return True
            return len(service["deployments"]) == 1 and primary.get("rolloutState") == "COMPLETED"

        try:
            aws.wait(done, STEADY_SECONDS, f"a steady state of {arn}")
        except TimeoutError as error:
            raise InitFailed(arn, {"arn": arn}, str(error)) from None
        if verdict:
            raise InitFailed(arn, {"arn": arn}, verdict[0])


def _why(aws: Context, cluster: str, service: Any, *, rolled_back: bool) -> str:
    stopped = aws("ecs").list_tasks(cluster=cluster, serviceName=service["serviceName"], desiredStatus="STOPPED")[
        "taskArns"
    ]
    tasks = aws("ecs").describe_tasks(cluster=cluster, tasks=stopped)["tasks"] if stopped else []
    causes = {t["stoppedReason"] for t in tasks if t.get("stopCode") != "ServiceSchedulerInitiated"}
    codes = {f"{c['name']} exited with {c['exitCode']}" for t in tasks for c in t["containers"] if c.get("exitCode")}
    end = "ECS rolled back to the revision before" if rolled_back else "there is no revision to roll back to"
    return f"the new tasks do not come up; {end}. Reasons: {'; '.join(sorted(causes | codes)) or 'none given'}"
