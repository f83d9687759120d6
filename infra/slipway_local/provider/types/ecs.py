"""ECS: clusters and task definitions."""

from __future__ import annotations

import json

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names, tag_list


class EcsClusterResource(ResourceType):
    type_name = "aws:ecs/cluster:Cluster"
    inputs = property_names("name settings configuration tags tagsAll")
    force_replacement = property_names("name")
    name_property = ("name", 255)

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("ecs").create_cluster(
            clusterName=inputs["name"],
            settings=inputs.get("settings") or [],
            **({"configuration": inputs["configuration"]} if inputs.get("configuration") else {}),
            tags=tag_list(inputs, "key", "value"),
        )["cluster"]
        return created["clusterArn"], {"arn": created["clusterArn"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        clusters = aws("ecs").describe_clusters(clusters=[id], include=["SETTINGS"])["clusters"]
        if not clusters or clusters[0]["status"] == "INACTIVE":
            return None
        return {"name": clusters[0]["clusterName"], "arn": id, "settings": clusters[0].get("settings")}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecs").update_cluster(
            cluster=id, settings=new.get("settings") or [], configuration=new.get("configuration") or {}
        )
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ecs").delete_cluster(cluster=id)


class ClusterCapacityProvidersResource(ResourceType):
    type_name = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
    inputs = property_names("clusterName capacityProviders defaultCapacityProviderStrategies")
    force_replacement = property_names("clusterName")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        self.update(aws, inputs["clusterName"], {}, inputs)
        return inputs["clusterName"], {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        clusters = aws("ecs").describe_clusters(clusters=[id])["clusters"]
        if not clusters or clusters[0]["status"] == "INACTIVE":
            return None
        return {"clusterName": id, "capacityProviders": clusters[0].get("capacityProviders")}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("ecs").put_cluster_capacity_providers(
            cluster=new["clusterName"],
            capacityProviders=new.get("capacityProviders") or [],
            defaultCapacityProviderStrategy=new.get("defaultCapacityProviderStrategies") or [],
        )
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("ecs").put_cluster_capacity_providers(cluster=id, capacityProviders=[], defaultCapacityProviderStrategy=[])


class TaskDefinitionResource(ResourceType):
    """Any change but one of its tags is a new revision; the old one is deregistered when it is replaced."""

    type_name = "aws:ecs/taskDefinition:TaskDefinition"
    inputs = property_names(
        "family containerDefinitions requiresCompatibilities networkMode cpu memory runtimePlatform",
        "volumes executionRoleArn taskRoleArn ephemeralStorage skipDestroy tags tagsAll",
    )
    force_replacement = inputs - {"skipDestroy", "tags", "tagsAll"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        plain = ("family", "requiresCompatibilities", "networkMode", "cpu", "memory", "executionRoleArn", "taskRoleArn")
        platform = inputs.get("runtimePlatform") or {}
        created = aws("ecs").register_task_definition(
            containerDefinitions=json.loads(inputs["containerDefinitions"]),
            volumes=[{"name": volume["name"]} for volume in inputs.get("volumes") or []],
            **{key: inputs[key] for key in plain if inputs.get(key) is not None},
            **({"runtimePlatform": platform} if platform else {}),
            **({"ephemeralStorage": inputs["ephemeralStorage"]} if inputs.get("ephemeralStorage") else {}),
            tags=tag_list(inputs, "key", "value"),
        )["taskDefinition"]
        arn = created["taskDefinitionArn"]
        return inputs["family"], {
            "arn": arn,
            "arnWithoutRevision": arn.rsplit(":", 1)[0],
            "revision": created["revision"],
        }

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = aws("ecs").describe_task_definition(taskDefinition=state.get("arn", id))["taskDefinition"]
        if resource["status"] != "ACTIVE":
            return None
        return {
            "arn": resource["taskDefinitionArn"],
            "family": resource["family"],
            "revision": resource["revision"],
            "containerDefinitions": json.dumps(resource["containerDefinitions"]),
            "cpu": resource.get("cpu"),
            "memory": resource.get("memory"),
            "networkMode": resource.get("networkMode"),
            "executionRoleArn": resource.get("executionRoleArn"),
            "taskRoleArn": resource.get("taskRoleArn"),
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        arn = old["arn"]
        removed = [key for key in old.get("tagsAll") or {} if key not in (new.get("tagsAll") or {})]
        if removed:
            aws("ecs").untag_resource(resourceArn=arn, tagKeys=removed)
        if tag_list(new):
            aws("ecs").tag_resource(resourceArn=arn, tags=tag_list(new, "key", "value"))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        if not state.get("skipDestroy"):
            aws("ecs").deregister_task_definition(taskDefinition=state["arn"])
