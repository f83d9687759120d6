"""The database: Postgres on RDS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import contract, naming
from infra.components.alarm import Alarm
from infra.components.roles import service_role
from infra.foundation import NetworkFacts, StoreFacts
from infra.settings import Settings
from infra.sizes import max_connections

GIB = 1024**3
"""Bytes."""
LOGS = ["postgresql", "upgrade"]
"""What it exports to CloudWatch, each to a log group."""


@dataclass(frozen=True)
class DatabaseArgs:
    """Inputs of `Database`."""

    network: NetworkFacts
    key_arn: pulumi.Input[str]
    instance_class: str = "db.t4g.micro"
    version: str = "17"
    major_upgrade: bool = False
    """Whether another major version is let through: AWS takes the database down for it, and there is no way back."""
    storage_gb: int = 20
    multi_az: bool = False
    backup_days: int = 7
    restore_from: str = ""
    """A snapshot that it begins as; empty for an empty database."""
    log_retention_days: int = 30
    protect: bool = True
    """Deletion protection, and Pulumi's own."""
    final_snapshot: bool = True
    """Whether its end leaves a snapshot, and its automated backups for as long as they would have lived."""

    @classmethod
    def of(cls, settings: Settings, *, network: NetworkFacts, key_arn: pulumi.Input[str]) -> DatabaseArgs:
        """As a stack's settings have it."""
        return cls(
            network=network,
            key_arn=key_arn,
            instance_class=settings.database_class,
            version=settings.database_version,
            major_upgrade=settings.database_major_upgrade,
            storage_gb=settings.database_storage_gb,
            multi_az=settings.database_multi_az,
            backup_days=settings.database_backup_days,
            restore_from=settings.database_restore_from,
            log_retention_days=settings.log_retention_days,
            protect=settings.protect,
            final_snapshot=settings.database_final_snapshot,
        )


class Database(pulumi.ComponentResource):
    """An encrypted Postgres in the isolated subnets, reached over TLS only, its master password kept by RDS.

    Provisions: subnet group, parameter group (force_ssl), security group, enhanced-monitoring role, instance on gp3
    with backups and point-in-time recovery, Performance Insights, logs in log groups of its own. Costs for
    db.t4g.micro with 20 GB (us-east-1): 14 USD a month, twice that with Multi-AZ.

    RDS makes its log groups itself, without an end or a key, unless they are there before; so its identifier is known
    before: by what would make it another instance, so that a replacement does not want the name of what it replaces.
    """

    facts: StoreFacts
    arn: pulumi.Output[str]
    database_name: str
    master_secret_arn: pulumi.Output[str]
    """Where RDS keeps the owner's name and password."""
    alarms: list[Alarm]

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:database:Database", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.database_name = naming.identifier(name)
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
        monitoring, _ = service_role(f"{name}-database-monitoring", "monitoring.rds.amazonaws.com", [], parent=self)
        aws.iam.RolePolicyAttachment(
            f"{name}-database-monitoring",
            role=monitoring.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
            opts=child,
        )
        identifier = pulumi.Output.all(args.network.vpc_id, args.key_arn).apply(
            lambda made_from: f"{name}-database-{naming.mark(*made_from, args.restore_from)}"
        )
        logs = [
            aws.cloudwatch.LogGroup(
                f"{name}-database-{log}",
                name=pulumi.Output.format("/aws/rds/instance/{0}/{1}", identifier, log),
                retention_in_days=args.log_retention_days,
                kms_key_id=args.key_arn,
                opts=child,
            )
            for log in LOGS
        ]
        instance = aws.rds.Instance(
            f"{name}-database",
            identifier=identifier,
            snapshot_identifier=args.restore_from or None,
            engine="postgres",
            engine_version=args.version,
            allow_major_version_upgrade=args.major_upgrade,
            instance_class=args.instance_class,
            allocated_storage=args.storage_gb,
            max_allocated_storage=min(args.storage_gb * 5, 65536),  # grows by itself instead of filling up
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            db_name=self.database_name,
            username=contract.DATABASE_OWNER,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            port=contract.DATABASE_PORT,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=parameters.name,
            # Else a new size waits for the maintenance window, and `up` says done before it is.
            apply_immediately=True,
            publicly_accessible=False,
            multi_az=args.multi_az,
            backup_retention_period=args.backup_days,
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
            enabled_cloudwatch_logs_exports=LOGS,
            deletion_protection=args.protect,
            skip_final_snapshot=not args.final_snapshot,
            # As its identifier, another in each life of the environment: the last life's snapshot keeps its name.
            final_snapshot_identifier=pulumi.Output.format("{0}-final", identifier) if args.final_snapshot else None,
            delete_automated_backups=not args.final_snapshot,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=logs,
                replace_on_changes=["snapshotIdentifier"],
                # The provider would else delete an instance of a given name first, with its data. So what makes
                # another instance of the same name is refused by RDS, for the name is taken, and nothing is lost.
                delete_before_replace=False,
            ),
        )
        self.facts = StoreFacts("database", group.id, contract.DATABASE_PORT, instance.address, instance.port)
        self.arn = instance.arn
        self.master_secret_arn = instance.master_user_secrets.apply(
            lambda found: found[0].secret_arn or "" if found else ""
        )
        self.alarms = _alarms(args, instance)
        self.register_outputs({"address": instance.address})


def _alarms(args: DatabaseArgs, instance: aws.rds.Instance) -> list[Alarm]:
    def alarm(name: str, why: str, metric: str, **more: Any) -> Alarm:
        dimensions = {"DBInstanceIdentifier": instance.identifier}
        return Alarm(f"database-{name}", why, "AWS/RDS", metric, dimensions, **more)

    return [
        alarm("cpu", "The database is busy: CPU over 80 %", "CPUUtilization", over=80, minutes=15),
        alarm(
            "storage",
            "The database's disk fills up: under a tenth is free, before it grows by itself",
            "FreeStorageSpace",
            statistic="Minimum",
            under=args.storage_gb * GIB / 10,
        ),
        alarm(
            "connections",
            "The database runs out of connections: over 80 % are in use",
            "DatabaseConnections",
            statistic="Maximum",
            over=int(max_connections(args.instance_class) * 0.8),
        ),
    ]
