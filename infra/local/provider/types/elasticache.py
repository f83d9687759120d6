"""ElastiCache: replication groups and the groups that they are in."""

from __future__ import annotations

from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list

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
    inputs = set_of("replicationGroupId applyImmediately finalSnapshotIdentifier tags tagsAll", *_CHANGEABLE, *_ONCE)
    replace = set_of(
        "replicationGroupId engine numCacheClusters subnetGroupName atRestEncryptionEnabled kmsKeyId",
        "transitEncryptionEnabled authToken engineVersion",
    )
    named = ("replicationGroupId", 40)
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
