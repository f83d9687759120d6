"""RDS: instances and the groups that they are in."""

from __future__ import annotations

from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of, tag_list

AVAILABLE_SECONDS = 600


class SubnetGroup(Kind):
    type_name = "aws:rds/subnetGroup:SubnetGroup"
    inputs = set_of("name description subnetIds tags tagsAll")
    replace = set_of("name")
    named = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        made = aws("rds").create_db_subnet_group(
            DBSubnetGroupName=given["name"],
            DBSubnetGroupDescription=given["description"],
            SubnetIds=given["subnetIds"],
            Tags=tag_list(given),
        )["DBSubnetGroup"]
        return given["name"], {"arn": made["DBSubnetGroupArn"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        (found,) = aws("rds").describe_db_subnet_groups(DBSubnetGroupName=id)["DBSubnetGroups"]
        return {"name": id, "arn": found["DBSubnetGroupArn"], "description": found["DBSubnetGroupDescription"]}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        aws("rds").modify_db_subnet_group(DBSubnetGroupName=id, SubnetIds=new["subnetIds"])
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("rds").delete_db_subnet_group(DBSubnetGroupName=id)


class ParameterGroup(Kind):
    type_name = "aws:rds/parameterGroup:ParameterGroup"
    inputs = set_of("name family description parameters tags tagsAll")
    replace = set_of("name family description")
    named = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        name = given["name"]
        made = aws("rds").create_db_parameter_group(
            DBParameterGroupName=name,
            DBParameterGroupFamily=given["family"],
            Description=given["description"],
            Tags=tag_list(given),
        )["DBParameterGroup"]
        self.update(aws, name, {}, given)
        return name, {"arn": made["DBParameterGroupArn"]}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        (found,) = aws("rds").describe_db_parameter_groups(DBParameterGroupName=id)["DBParameterGroups"]
        return {"name": id, "arn": found["DBParameterGroupArn"], "family": found["DBParameterGroupFamily"]}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        parameters = [
            {"ParameterName": p["name"], "ParameterValue": p["value"], "ApplyMethod": p.get("applyMethod", "immediate")}
            for p in new.get("parameters") or []
        ]
        if parameters:
            aws("rds").modify_db_parameter_group(DBParameterGroupName=id, Parameters=parameters)
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("rds").delete_db_parameter_group(DBParameterGroupName=id)


_PLAIN = {
    "allocatedStorage": "AllocatedStorage",
    "autoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "backupRetentionPeriod": "BackupRetentionPeriod",
    "caCertIdentifier": "CACertificateIdentifier",
    "copyTagsToSnapshot": "CopyTagsToSnapshot",
    "deletionProtection": "DeletionProtection",
    "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
    "instanceClass": "DBInstanceClass",
    "maxAllocatedStorage": "MaxAllocatedStorage",
    "monitoringInterval": "MonitoringInterval",
    "monitoringRoleArn": "MonitoringRoleArn",
    "multiAz": "MultiAZ",
    "parameterGroupName": "DBParameterGroupName",
    "performanceInsightsEnabled": "EnablePerformanceInsights",
    "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
    "performanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
    "backupWindow": "PreferredBackupWindow",
    "maintenanceWindow": "PreferredMaintenanceWindow",
    "storageType": "StorageType",
    "vpcSecurityGroupIds": "VpcSecurityGroupIds",
}
"""Inputs that both CreateDBInstance and ModifyDBInstance take."""
_ONCE = {
    "availabilityZone": "AvailabilityZone",
    "dbName": "DBName",
    "dbSubnetGroupName": "DBSubnetGroupName",
    "engine": "Engine",
    "kmsKeyId": "KmsKeyId",
    "masterUserSecretKmsKeyId": "MasterUserSecretKmsKeyId",
    "port": "Port",
    "publiclyAccessible": "PubliclyAccessible",
    "storageEncrypted": "StorageEncrypted",
    "username": "MasterUsername",
}


class Instance(Kind):
    """A database instance whose master password RDS manages. `address` and `port` are where this machine has it."""

    type_name = "aws:rds/instance:Instance"
    inputs = set_of(
        "identifier engineVersion manageMasterUserPassword enabledCloudwatchLogsExports skipFinalSnapshot",
        "finalSnapshotIdentifier applyImmediately deleteAutomatedBackups allowMajorVersionUpgrade",
        "snapshotIdentifier tags tagsAll",
        *_PLAIN,
        *_ONCE,
    )
    replace = set_of(
        "identifier engine username dbName dbSubnetGroupName kmsKeyId storageEncrypted availabilityZone",
        "snapshotIdentifier",
    )
    named = ("identifier", 63)
    elsewhere = set_of("port")
    defaults: ClassVar = {"applyImmediately": False, "skipFinalSnapshot": False}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        if given.get("snapshotIdentifier"):
            return given["identifier"], self._restored(aws, given)
        logs = given.get("enabledCloudwatchLogsExports")
        aws("rds").create_db_instance(
            DBInstanceIdentifier=given["identifier"],
            EngineVersion=given["engineVersion"],
            ManageMasterUserPassword=bool(given.get("manageMasterUserPassword")),
            Tags=tag_list(given),
            **({"EnableCloudwatchLogsExports": logs} if logs else {}),
            **_calls(given, _PLAIN | _ONCE),
        )
        return given["identifier"], self._available(aws, given["identifier"])

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        (found,) = aws("rds").describe_db_instances(DBInstanceIdentifier=id)["DBInstances"]
        names = {key: name for key, name in (_PLAIN | _ONCE).items() if name in found and key != "port"}
        values = {key: found[name] for key, name in names.items()}
        return _outputs(found) | values | {"identifier": id, "engineVersion": found["EngineVersion"]}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        different = {key: value for key, value in new.items() if old.get(key) != value}
        version = {"EngineVersion": different["engineVersion"]} if "engineVersion" in different else {}
        if version:
            version["AllowMajorVersionUpgrade"] = bool(new.get("allowMajorVersionUpgrade"))
        arguments = _calls(different, _PLAIN) | version
        if arguments:
            aws("rds").modify_db_instance(DBInstanceIdentifier=id, ApplyImmediately=True, **arguments)
        return self._available(aws, id)

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        """With the final snapshot that the inputs ask for: a protected instance refuses, as it does on AWS."""
        final = (
            {"FinalDBSnapshotIdentifier": known["finalSnapshotIdentifier"]}
            if known.get("finalSnapshotIdentifier")
            else {}
        )
        skip = bool(known.get("skipFinalSnapshot"))
        automated = bool(known.get("deleteAutomatedBackups", True))
        aws("rds").delete_db_instance(
            DBInstanceIdentifier=id,
            SkipFinalSnapshot=skip,
            DeleteAutomatedBackups=automated,
            **({} if skip else final),
        )

    def _restored(self, aws: Context, given: Properties) -> Properties:
        """As the official provider does it: what the call does not take is a change afterwards."""
        aws("rds").restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=given["identifier"],
            DBSnapshotIdentifier=given["snapshotIdentifier"],
            DBInstanceClass=given["instanceClass"],
            Tags=tag_list(given),
            **_calls(given, {"dbSubnetGroupName": "DBSubnetGroupName", "port": "Port"}),
        )
        self._available(aws, given["identifier"])
        aws("rds").modify_db_instance(
            DBInstanceIdentifier=given["identifier"], ApplyImmediately=True, **_calls(given, _PLAIN)
        )
        return self._available(aws, given["identifier"])

    def _available(self, aws: Context, id: str) -> Properties:
        found: list[dict[str, Any]] = []

        def done() -> bool:
            found[:] = aws("rds").describe_db_instances(DBInstanceIdentifier=id)["DBInstances"]
            return bool(found[0]["DBInstanceStatus"] == "available" and found[0].get("Endpoint"))

        aws.wait(done, AVAILABLE_SECONDS, f"database {id}")
        return _outputs(found[0])


def _outputs(found: dict[str, Any]) -> Properties:
    endpoint = found.get("Endpoint") or {}
    secret = found.get("MasterUserSecret")
    return {
        "arn": found["DBInstanceArn"],
        "address": endpoint.get("Address"),
        "port": endpoint.get("Port"),
        "endpoint": f"{endpoint.get('Address')}:{endpoint.get('Port')}",
        "resourceId": found.get("DbiResourceId"),
        "masterUserSecrets": [{"secretArn": secret["SecretArn"], "secretStatus": secret["SecretStatus"]}]
        if secret
        else [],
    }


def _calls(given: Properties, names: dict[str, str]) -> dict[str, Any]:
    return {name: given[key] for key, name in names.items() if given.get(key) is not None}
