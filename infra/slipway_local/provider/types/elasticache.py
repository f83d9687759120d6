"""ElastiCache: replication groups and the groups that they are in."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)

AVAILABLE_TIMEOUT_SECONDS = 600


class CacheSubnetGroupResource(ResourceType):
    type_name = "aws:elasticache/subnetGroup:SubnetGroup"
    inputs = property_names("name description subnetIds tags tagsAll")
    force_replacement = property_names("name")
    name_property = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        aws("elasticache").create_cache_subnet_group(
            CacheSubnetGroupName=inputs["name"],
            CacheSubnetGroupDescription=inputs["description"],
            SubnetIds=inputs["subnetIds"],
        )
        return inputs["name"], {"arn": f"arn:aws:elasticache:{aws.region}:{aws.account}:subnetgroup:{inputs['name']}"}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        (resource,) = aws("elasticache").describe_cache_subnet_groups(CacheSubnetGroupName=id)["CacheSubnetGroups"]
        return {"name": id, "description": resource["CacheSubnetGroupDescription"]}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("elasticache").modify_cache_subnet_group(CacheSubnetGroupName=id, SubnetIds=new["subnetIds"])
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("elasticache").delete_cache_subnet_group(CacheSubnetGroupName=id)


class CacheParameterGroupResource(ResourceType):
    """ministack keeps the parameters, and starts its Redis without them."""

    type_name = "aws:elasticache/parameterGroup:ParameterGroup"
    inputs = property_names("name family description parameters tags tagsAll")
    force_replacement = property_names("name family description")
    name_property = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("elasticache").create_cache_parameter_group(
            CacheParameterGroupName=inputs["name"],
            CacheParameterGroupFamily=inputs["family"],
            Description=inputs["description"],
            Tags=tag_list(inputs),
        )["CacheParameterGroup"]
        self._set(aws, inputs["name"], inputs)
        return inputs["name"], {"arn": created["ARN"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        client = aws("elasticache")
        with suppress(client.exceptions.CacheParameterGroupNotFoundFault):
            (resource,) = client.describe_cache_parameter_groups(CacheParameterGroupName=id)["CacheParameterGroups"]
            parameters = client.describe_cache_parameters(CacheParameterGroupName=id, Source="user")["Parameters"]
            tags = tag_map(client.list_tags_for_resource(ResourceName=resource["ARN"])["TagList"])
            return {
                "name": id,
                "arn": resource["ARN"],
                "family": resource["CacheParameterGroupFamily"],
                "description": resource["Description"],
                # ministack gives the others too, whatever source was asked for.
                "parameters": [
                    {"name": p["ParameterName"], "value": p["ParameterValue"]}
                    for p in parameters
                    if p["Source"] == "user"
                ],
                "tags": tags,
                "tagsAll": tags,
            }
        return None

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        client = aws("elasticache")
        arn = old["arn"]
        if {p["name"] for p in old.get("parameters") or []} - {p["name"] for p in new.get("parameters") or []}:
            # All of them, for ministack does not reset a single parameter whose default it does not know.
            client.reset_cache_parameter_group(CacheParameterGroupName=id, ResetAllParameters=True)
        self._set(aws, id, new)
        gone = sorted(set(old.get("tagsAll") or {}) - set(new.get("tagsAll") or {}))
        if gone:
            client.remove_tags_from_resource(ResourceName=arn, TagKeys=gone)
        if new.get("tagsAll"):
            client.add_tags_to_resource(ResourceName=arn, Tags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("elasticache").delete_cache_parameter_group(CacheParameterGroupName=id)

    def _set(self, aws: ProviderContext, name: str, inputs: Properties) -> None:
        values = [{"ParameterName": p["name"], "ParameterValue": p["value"]} for p in inputs.get("parameters") or []]
        if values:
            aws("elasticache").modify_cache_parameter_group(CacheParameterGroupName=name, ParameterNameValues=values)


_CREATE_AND_MODIFY_FIELDS = {
    "description": "ReplicationGroupDescription",
    "nodeType": "CacheNodeType",
    "automaticFailoverEnabled": "AutomaticFailoverEnabled",
    "multiAzEnabled": "MultiAZEnabled",
    "autoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "snapshotRetentionLimit": "SnapshotRetentionLimit",
    "snapshotWindow": "SnapshotWindow",
    "maintenanceWindow": "PreferredMaintenanceWindow",
    "securityGroupIds": "SecurityGroupIds",
    "parameterGroupName": "CacheParameterGroupName",
}
_CREATE_ONLY_FIELDS = {
    "engine": "Engine",
    "engineVersion": "EngineVersion",
    "numCacheClusters": "NumCacheClusters",
    "port": "Port",
    "subnetGroupName": "CacheSubnetGroupName",
    "atRestEncryptionEnabled": "AtRestEncryptionEnabled",
    "transitEncryptionEnabled": "TransitEncryptionEnabled",
    "kmsKeyId": "KmsKeyId",
    "authToken": "AuthToken",
}


class ReplicationGroupResource(ResourceType):
    """Redis. `primaryEndpointAddress` and `port` are where this machine has it."""

    type_name = "aws:elasticache/replicationGroup:ReplicationGroup"
    inputs = property_names(
        "replicationGroupId applyImmediately finalSnapshotIdentifier tags tagsAll authTokenUpdateStrategy",
        *_CREATE_AND_MODIFY_FIELDS,
        *_CREATE_ONLY_FIELDS,
    )
    force_replacement = property_names(
        "replicationGroupId engine numCacheClusters subnetGroupName atRestEncryptionEnabled kmsKeyId",
        "transitEncryptionEnabled engineVersion",
    )
    name_property = ("replicationGroupId", 40)
    emulator_assigned = property_names("port")
    secret_properties = property_names("authToken")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        id = inputs["replicationGroupId"]
        aws("elasticache").create_replication_group(
            ReplicationGroupId=id,
            Tags=tag_list(inputs),
            **{
                name: inputs[key]
                for key, name in (_CREATE_AND_MODIFY_FIELDS | _CREATE_ONLY_FIELDS).items()
                if inputs.get(key) is not None
            },
        )
        groups: list[dict[str, Any]] = []

        def done() -> bool:
            groups[:] = aws("elasticache").describe_replication_groups(ReplicationGroupId=id)["ReplicationGroups"]
            return bool(groups[0]["Status"] == "available")

        aws.wait(done, AVAILABLE_TIMEOUT_SECONDS, f"cache {id}")
        return id, _outputs(groups[0])

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        (resource,) = aws("elasticache").describe_replication_groups(ReplicationGroupId=id)["ReplicationGroups"]
        return {"replicationGroupId": id, "description": resource["Description"]} | _outputs(resource)

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        different = {
            name: new[key] for key, name in _CREATE_AND_MODIFY_FIELDS.items() if key in new and old.get(key) != new[key]
        }
        if different:
            aws("elasticache").modify_replication_group(ReplicationGroupId=id, ApplyImmediately=True, **different)
        # As the real provider: a call of its own, when the token or the strategy has changed.
        if any(old.get(key) != new.get(key) for key in ("authToken", "authTokenUpdateStrategy")) and new.get(
            "authToken"
        ):
            aws("elasticache").modify_replication_group(
                ReplicationGroupId=id,
                ApplyImmediately=True,
                AuthToken=new["authToken"],
                AuthTokenUpdateStrategy=new.get("authTokenUpdateStrategy") or "ROTATE",
            )
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("elasticache").delete_replication_group(ReplicationGroupId=id)


def _outputs(resource: dict[str, Any]) -> Properties:
    primary = resource["NodeGroups"][0]["PrimaryEndpoint"]
    return {
        "arn": resource["ARN"],
        "primaryEndpointAddress": primary["Address"],
        "port": primary["Port"],
        "memberClusters": resource.get("MemberClusters") or [],
    }
