"""ECS: clusters and task definitions."""

from __future__ import annotations

import json

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list


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
