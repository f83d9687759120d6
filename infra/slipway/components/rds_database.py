"""A Postgres database on RDS."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.iam_roles import create_service_role
from slipway.components.outputs import DataStoreOutputs, NetworkOutputs
from slipway.config import constants, names
from slipway.config.aws_limits import max_connections

BYTES_PER_GIB = 1024**3
"""RDS reports free storage in bytes."""
EXPORTED_LOGS = ["postgresql", "upgrade"]
"""Logs that RDS exports to CloudWatch, each to a log group."""


@dataclass(frozen=True)
class RdsDatabaseArgs:
    """Inputs of `RdsDatabase`."""

    network: NetworkOutputs
    key_arn: pulumi.Input[str]
    instance_class: str = "db.t4g.micro"
    version: str = "17"
    allow_major_version_upgrade: bool = False
    """Whether a major version upgrade is allowed: it stops the database and cannot be reverted."""
    storage_gb: int = 20
    multi_az: bool = False
    backup_retention_days: int = 7
    restore_snapshot_identifier: str = ""
    """Snapshot that it is restored from; empty: an empty database."""
    log_retention_days: int = 30
    protect: bool = True
    """Whether RDS and Pulumi refuse to delete it."""
    final_snapshot: bool = True
    """Whether deletion leaves a final snapshot, and the automated backups until they expire."""


class RdsDatabase(pulumi.ComponentResource):
    """Creates an encrypted Postgres in the isolated subnets, TLS only, with its master password kept by RDS.

    Provisions: subnet group, parameter group (force_ssl), security group, enhanced-monitoring role, instance on gp3
    with backups and point-in-time recovery, Performance Insights, logs in log groups of its own. Costs for
    db.t4g.micro with 20 GB (us-east-1): 14 USD a month, twice that with Multi-AZ.

    RDS would create its log groups itself, without retention or a key; they are created first, so the identifier must
    be deterministic: it ends in a hash of what makes a replacement, which then gets another name.
    """

    outputs: DataStoreOutputs
    arn: pulumi.Output[str]
    database_name: str
    master_secret_arn: pulumi.Output[str]
    """Secret in which RDS keeps the owner's name and password."""
    alarms: list[Alarm]

    def __init__(self, name: str, args: RdsDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:rds:RdsDatabase", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.database_name = names.postgres_identifier(name)
        group = aws.ec2.SecurityGroup(
            f"{name}-database",
            description="The database: reached by web, worker and migration tasks, reaches nothing",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        subnets = aws.rds.SubnetGroup(f"{name}-database", subnet_ids=args.network.isolated_subnet_ids, opts=child)
        family = f"postgres{args.version.split('.')[0]}"
        parameters = aws.rds.ParameterGroup(
            f"{name}-{family}",
            family=family,
            parameters=[
                {"name": "rds.force_ssl", "value": "1"},  # RDS.38
                {"name": "log_min_duration_statement", "value": "1000"},  # ms
                {"name": "log_lock_waits", "value": "1"},
            ],
            opts=child,
        )
        monitoring, _ = create_service_role(
            f"{name}-database-monitoring", "monitoring.rds.amazonaws.com", [], parent=self
        )
        aws.iam.RolePolicyAttachment(
            f"{name}-database-monitoring",
            role=monitoring.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
            opts=child,
        )
        identifier = pulumi.Output.all(args.network.vpc_id, args.key_arn).apply(
            lambda vpc_and_key: f"{name}-database-{names.short_hash(*vpc_and_key, args.restore_snapshot_identifier)}"
        )
        logs = [
            aws.cloudwatch.LogGroup(
                f"{name}-database-{log}",
                name=pulumi.Output.format("/aws/rds/instance/{0}/{1}", identifier, log),
                retention_in_days=args.log_retention_days,
                kms_key_id=args.key_arn,
                opts=child,
            )
            for log in EXPORTED_LOGS
        ]
        instance = aws.rds.Instance(
            f"{name}-database",
            identifier=identifier,
            snapshot_identifier=args.restore_snapshot_identifier or None,
            engine="postgres",
            engine_version=args.version,
            allow_major_version_upgrade=args.allow_major_version_upgrade,
            instance_class=args.instance_class,
            allocated_storage=args.storage_gb,
            max_allocated_storage=min(args.storage_gb * 5, 65536),  # storage autoscaling
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            db_name=self.database_name,
            username=constants.DATABASE_OWNER,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            port=constants.DATABASE_PORT,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=parameters.name,
            # Else a new size waits for the maintenance window, and `up` reports success before it is applied.
            apply_immediately=True,
            publicly_accessible=False,
            multi_az=args.multi_az,
            backup_retention_period=args.backup_retention_days,
            backup_window="03:00-04:00",
            maintenance_window="sun:04:30-sun:05:30",
            auto_minor_version_upgrade=True,
            copy_tags_to_snapshot=True,
            iam_database_authentication_enabled=True,
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.key_arn,
            performance_insights_retention_period=7,  # days; the free tier
            monitoring_interval=60,
            monitoring_role_arn=monitoring.arn,
            enabled_cloudwatch_logs_exports=EXPORTED_LOGS,
            deletion_protection=args.protect,
            skip_final_snapshot=not args.final_snapshot,
            # Like the identifier, another one when the environment is created again: the older snapshot keeps its name.
            final_snapshot_identifier=pulumi.Output.format("{0}-final", identifier) if args.final_snapshot else None,
            delete_automated_backups=not args.final_snapshot,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=logs,
                replace_on_changes=["snapshotIdentifier"],
                # The provider would otherwise delete an instance with a fixed name first, with its data. So RDS refuses
                # a replacement with the same name, and no data is lost.
                delete_before_replace=False,
            ),
        )
        self.outputs = DataStoreOutputs("database", group.id, constants.DATABASE_PORT, instance.address, instance.port)
        self.arn = instance.arn
        self.master_secret_arn = instance.master_user_secrets.apply(
            lambda secrets: secrets[0].secret_arn or "" if secrets else ""
        )
        self.alarms = _alarms(args, instance)
        self.register_outputs({"address": instance.address})


def _alarms(args: RdsDatabaseArgs, instance: aws.rds.Instance) -> list[Alarm]:
    dimensions = {"DBInstanceIdentifier": instance.identifier}
    cpu = Alarm(
        "database-cpu",
        "The database is busy: CPU over 80 %",
        "AWS/RDS",
        "CPUUtilization",
        dimensions,
        greater_than=80,
        evaluation_periods=15,
    )
    storage = Alarm(
        "database-storage",
        "The database's disk fills up: under a tenth is free, before storage autoscaling adds more",
        "AWS/RDS",
        "FreeStorageSpace",
        dimensions,
        statistic="Minimum",
        less_than=args.storage_gb * BYTES_PER_GIB / 10,
    )
    connections = Alarm(
        "database-connections",
        "The database runs out of connections: over 80 % are in use",
        "AWS/RDS",
        "DatabaseConnections",
        dimensions,
        statistic="Maximum",
        greater_than=int(max_connections(args.instance_class) * 0.8),
    )
    return [cpu, storage, connections]
