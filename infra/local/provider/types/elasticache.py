"""ElastiCache: replication groups and the groups that they are in."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list, tag_map

AVAILABLE_SECONDS = 600


class SubnetGroup(Kind):
    type_name = "aws:elasticache/subnetGroup:SubnetGroup"
    inputs = set_of("name description subnetIds tags tagsAll")
    replace = set_of("name")
    named = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        aws("elasticache").create_cache_subnet_group(
            CacheSubnetGroupName=given["name"],
            CacheSubnetGroupDescription=given["description"],
            SubnetIds=given["subnetIds"],
        )
        return given["name"], {"arn": f"arn:aws:elasticache:{aws.region}:{aws.account}:subnetgroup:{given['name']}"}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        (found,) = aws("elasticache").describe_cache_subnet_groups(CacheSubnetGroupName=id)["CacheSubnetGroups"]
        return {"name": id, "description": found["CacheSubnetGroupDescription"]}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("elasticache").modify_cache_subnet_group(CacheSubnetGroupName=id, SubnetIds=new["subnetIds"])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("elasticache").delete_cache_subnet_group(CacheSubnetGroupName=id)


class ParameterGroup(Kind):
    """ministack keeps the parameters, and starts its Redis without them."""

    type_name = "aws:elasticache/parameterGroup:ParameterGroup"
    inputs = set_of("name family description parameters tags tagsAll")
    replace = set_of("name family description")
    named = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("elasticache").create_cache_parameter_group(
            CacheParameterGroupName=given["name"],
            CacheParameterGroupFamily=given["family"],
            Description=given["description"],
            Tags=tag_list(given),
        )["CacheParameterGroup"]
        self._set(aws, given["name"], given)
        return given["name"], {"arn": made["ARN"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        client = aws("elasticache")
        with suppress(client.exceptions.CacheParameterGroupNotFoundFault):
            (found,) = client.describe_cache_parameter_groups(CacheParameterGroupName=id)["CacheParameterGroups"]
            parameters = client.describe_cache_parameters(CacheParameterGroupName=id, Source="user")["Parameters"]
            tags = tag_map(client.list_tags_for_resource(ResourceName=found["ARN"])["TagList"])
            return {
                "name": id,
                "arn": found["ARN"],
                "family": found["CacheParameterGroupFamily"],
                "description": found["Description"],
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

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        client, arn = aws("elasticache"), old["arn"]
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

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("elasticache").delete_cache_parameter_group(CacheParameterGroupName=id)

    def _set(self, aws: Context, name: str, given: Properties) -> None:
        values = [{"ParameterName": p["name"], "ParameterValue": p["value"]} for p in given.get("parameters") or []]
        if values:
            aws("elasticache").modify_cache_parameter_group(CacheParameterGroupName=name, ParameterNameValues=values)


_CHANGEABLE = {
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
_ONCE = {
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


class ReplicationGroup(Kind):
    """Redis. `primaryEndpointAddress` and `port` are where this machine has it."""

    type_name = "aws:elasticache/replicationGroup:ReplicationGroup"
    inputs = set_of(
        "replicationGroupId applyImmediately finalSnapshotIdentifier tags tagsAll authTokenUpdateStrategy",
        *_CHANGEABLE,
        *_ONCE,
    )
    replace = set_of(
        "replicationGroupId engine numCacheClusters subnetGroupName atRestEncryptionEnabled kmsKeyId",
        "transitEncryptionEnabled engineVersion",
    )
    named = ("replicationGroupId", 40)
    elsewhere = set_of("port")
    secret = set_of("authToken")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        id = given["replicationGroupId"]
        aws("elasticache").create_replication_group(
            ReplicationGroupId=id,
            Tags=tag_list(given),
            **{name: given[key] for key, name in (_CHANGEABLE | _ONCE).items() if given.get(key) is not None},
        )
        found: list[dict[str, Any]] = []

        def done() -> bool:
            found[:] = aws("elasticache").describe_replication_groups(ReplicationGroupId=id)["ReplicationGroups"]
            return bool(found[0]["Status"] == "available")

        aws.wait(done, AVAILABLE_SECONDS, f"cache {id}")
        return id, _outputs(found[0])

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        (found,) = aws("elasticache").describe_replication_groups(ReplicationGroupId=id)["ReplicationGroups"]
        return {"replicationGroupId": id, "description": found["Description"]} | _outputs(found)

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        different = {name: new[key] for key, name in _CHANGEABLE.items() if key in new and old.get(key) != new[key]}
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

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("elasticache").delete_replication_group(ReplicationGroupId=id)


def _outputs(found: dict[str, Any]) -> Properties:
    primary = found["NodeGroups"][0]["PrimaryEndpoint"]
    return {
        "arn": found["ARN"],
        "primaryEndpointAddress": primary["Address"],
        "port": primary["Port"],
        "memberClusters": found.get("MemberClusters") or [],
    }
