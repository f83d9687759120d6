"""RDS: instances and the groups that they are in."""

from __future__ import annotations

from typing import Any, ClassVar

from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names, tag_list

AVAILABLE_TIMEOUT_SECONDS = 600


class DbSubnetGroupResource(ResourceType):
    type_name = "aws:rds/subnetGroup:SubnetGroup"
    inputs = property_names("name description subnetIds tags tagsAll")
    force_replacement = property_names("name")
    name_property = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        created = aws("rds").create_db_subnet_group(
            DBSubnetGroupName=inputs["name"],
            DBSubnetGroupDescription=inputs["description"],
            SubnetIds=inputs["subnetIds"],
            Tags=tag_list(inputs),
        )["DBSubnetGroup"]
        return inputs["name"], {"arn": created["DBSubnetGroupArn"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        (resource,) = aws("rds").describe_db_subnet_groups(DBSubnetGroupName=id)["DBSubnetGroups"]
        return {"name": id, "arn": resource["DBSubnetGroupArn"], "description": resource["DBSubnetGroupDescription"]}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        aws("rds").modify_db_subnet_group(DBSubnetGroupName=id, SubnetIds=new["subnetIds"])
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("rds").delete_db_subnet_group(DBSubnetGroupName=id)


class DbParameterGroupResource(ResourceType):
    type_name = "aws:rds/parameterGroup:ParameterGroup"
    inputs = property_names("name family description parameters tags tagsAll")
    force_replacement = property_names("name family description")
    name_property = ("name", 255)
    defaults: ClassVar = {"description": "Managed by Pulumi"}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["name"]
        created = aws("rds").create_db_parameter_group(
            DBParameterGroupName=name,
            DBParameterGroupFamily=inputs["family"],
            Description=inputs["description"],
            Tags=tag_list(inputs),
        )["DBParameterGroup"]
        self.update(aws, name, {}, inputs)
        return name, {"arn": created["DBParameterGroupArn"]}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        (resource,) = aws("rds").describe_db_parameter_groups(DBParameterGroupName=id)["DBParameterGroups"]
        return {"name": id, "arn": resource["DBParameterGroupArn"], "family": resource["DBParameterGroupFamily"]}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        parameters = [
            {"ParameterName": p["name"], "ParameterValue": p["value"], "ApplyMethod": p.get("applyMethod", "immediate")}
            for p in new.get("parameters") or []
        ]
        if parameters:
            aws("rds").modify_db_parameter_group(DBParameterGroupName=id, Parameters=parameters)
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("rds").delete_db_parameter_group(DBParameterGroupName=id)


_CREATE_AND_MODIFY_FIELDS = {
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
_CREATE_ONLY_FIELDS = {
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


class DbInstanceResource(ResourceType):
    """A database instance whose master password RDS manages. `address` and `port` are where this machine has it."""

    type_name = "aws:rds/instance:Instance"
    inputs = property_names(
        "identifier engineVersion manageMasterUserPassword enabledCloudwatchLogsExports skipFinalSnapshot",
        "finalSnapshotIdentifier applyImmediately deleteAutomatedBackups allowMajorVersionUpgrade",
        "snapshotIdentifier tags tagsAll",
        *_CREATE_AND_MODIFY_FIELDS,
        *_CREATE_ONLY_FIELDS,
    )
    force_replacement = property_names(
        "identifier engine username dbName dbSubnetGroupName kmsKeyId storageEncrypted availabilityZone",
        "snapshotIdentifier",
    )
    name_property = ("identifier", 63)
    emulator_assigned = property_names("port")
    defaults: ClassVar = {"applyImmediately": False, "skipFinalSnapshot": False}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        if inputs.get("snapshotIdentifier"):
            return inputs["identifier"], self._restored(aws, inputs)
        logs = inputs.get("enabledCloudwatchLogsExports")
        aws("rds").create_db_instance(
            DBInstanceIdentifier=inputs["identifier"],
            EngineVersion=inputs["engineVersion"],
            ManageMasterUserPassword=bool(inputs.get("manageMasterUserPassword")),
            Tags=tag_list(inputs),
            **({"EnableCloudwatchLogsExports": logs} if logs else {}),
            **_rename_keys(inputs, _CREATE_AND_MODIFY_FIELDS | _CREATE_ONLY_FIELDS),
        )
        return inputs["identifier"], self._available(aws, inputs["identifier"])

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        (resource,) = aws("rds").describe_db_instances(DBInstanceIdentifier=id)["DBInstances"]
        names = {
            key: name
            for key, name in (_CREATE_AND_MODIFY_FIELDS | _CREATE_ONLY_FIELDS).items()
            if name in resource and key != "port"
        }
        values = {key: resource[name] for key, name in names.items()}
        return _outputs(resource) | values | {"identifier": id, "engineVersion": resource["EngineVersion"]}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        different = {key: value for key, value in new.items() if old.get(key) != value}
        version = {"EngineVersion": different["engineVersion"]} if "engineVersion" in different else {}
        if version:
            version["AllowMajorVersionUpgrade"] = bool(new.get("allowMajorVersionUpgrade"))
        arguments = _rename_keys(different, _CREATE_AND_MODIFY_FIELDS) | version
        if arguments:
            aws("rds").modify_db_instance(DBInstanceIdentifier=id, ApplyImmediately=True, **arguments)
        return self._available(aws, id)

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """With the final snapshot that the inputs ask for: a protected instance refuses, as it does on AWS."""
        final = (
            {"FinalDBSnapshotIdentifier": state["finalSnapshotIdentifier"]}
            if state.get("finalSnapshotIdentifier")
            else {}
        )
        skip = bool(state.get("skipFinalSnapshot"))
        automated = bool(state.get("deleteAutomatedBackups", True))
        aws("rds").delete_db_instance(
            DBInstanceIdentifier=id,
            SkipFinalSnapshot=skip,
            DeleteAutomatedBackups=automated,
            **({} if skip else final),
        )

    def _restored(self, aws: ProviderContext, inputs: Properties) -> Properties:
        """As the official provider does it: what the call does not take is a change afterwards."""
        aws("rds").restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=inputs["identifier"],
            DBSnapshotIdentifier=inputs["snapshotIdentifier"],
            DBInstanceClass=inputs["instanceClass"],
            Tags=tag_list(inputs),
            **_rename_keys(inputs, {"dbSubnetGroupName": "DBSubnetGroupName", "port": "Port"}),
        )
        self._available(aws, inputs["identifier"])
        aws("rds").modify_db_instance(
            DBInstanceIdentifier=inputs["identifier"],
            ApplyImmediately=True,
            **_rename_keys(inputs, _CREATE_AND_MODIFY_FIELDS),
        )
        return self._available(aws, inputs["identifier"])

    def _available(self, aws: ProviderContext, id: str) -> Properties:
        instances: list[dict[str, Any]] = []

        def done() -> bool:
            instances[:] = aws("rds").describe_db_instances(DBInstanceIdentifier=id)["DBInstances"]
            return bool(instances[0]["DBInstanceStatus"] == "available" and instances[0].get("Endpoint"))

        aws.wait(done, AVAILABLE_TIMEOUT_SECONDS, f"database {id}")
        return _outputs(instances[0])


def _outputs(resource: dict[str, Any]) -> Properties:
    endpoint = resource.get("Endpoint") or {}
    secret = resource.get("MasterUserSecret")
    return {
        "arn": resource["DBInstanceArn"],
        "address": endpoint.get("Address"),
        "port": endpoint.get("Port"),
        "endpoint": f"{endpoint.get('Address')}:{endpoint.get('Port')}",
        "resourceId": resource.get("DbiResourceId"),
        "masterUserSecrets": [{"secretArn": secret["SecretArn"], "secretStatus": secret["SecretStatus"]}]
        if secret
        else [],
    }


def _rename_keys(inputs: Properties, names: dict[str, str]) -> dict[str, Any]:
    return {name: inputs[key] for key, name in names.items() if inputs.get(key) is not None}
