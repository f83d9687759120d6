"""The database: Postgres on RDS."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.network import Network

MONITORING_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "monitoring.rds.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@dataclass(frozen=True)
class DatabaseArgs:
    """Inputs of `Database`."""

    network: Network
    key_arn: pulumi.Input[str]
    instance_class: str = "db.t4g.micro"
    version: str = "17"
    storage_gb: int = 20
    multi_az: bool = False
    backup_days: int = 7
    protect: bool = True
    """Deletion protection, a final snapshot, and Pulumi's own protection."""


class Database(pulumi.ComponentResource):
    """An encrypted Postgres in the isolated subnets, reached over TLS only, its master password kept by RDS.

    Provisions: subnet group, parameter group (force_ssl), security group, enhanced-monitoring role, instance on gp3
    with backups and point-in-time recovery, Performance Insights, logs exported to CloudWatch. Costs for
    db.t4g.micro with 20 GB (us-east-1): 14 USD a month, twice that with Multi-AZ.
    """

    label = "database"
    port = contract.DATABASE_PORT
    """What security groups allow."""
    address: pulumi.Output[str]
    endpoint_port: pulumi.Output[int]
    """Where it really answers; the local AWS has a port of its own."""
    master_secret_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:database:Database", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-database",
            description="The database: reached by web, worker and migration tasks, reaches nothing",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        subnets = aws.rds.SubnetGroup(f"{name}-database", subnet_ids=args.network.isolated_subnet_ids, opts=child)
        parameters = aws.rds.ParameterGroup(
            f"{name}-postgres{args.version}",
            family=f"postgres{args.version}",
            parameters=[
                {"name": "rds.force_ssl", "value": "1"},  # RDS.38
                {"name": "log_min_duration_statement", "value": "1000"},  # ms
                {"name": "log_lock_waits", "value": "1"},
            ],
            opts=child,
        )
        monitoring = aws.iam.Role(
            f"{name}-database-monitoring",
            assume_role_policy=json.dumps(MONITORING_TRUST),
            opts=child,
        )
        aws.iam.RolePolicyAttachment(
            f"{name}-database-monitoring",
            role=monitoring.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
            opts=child,
        )
        instance = aws.rds.Instance(
            f"{name}-database",
            engine="postgres",
            engine_version=args.version,
            instance_class=args.instance_class,
            allocated_storage=args.storage_gb,
            max_allocated_storage=args.storage_gb * 5,  # grows by itself instead of filling up
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            db_name=contract.DATABASE_NAME,
            username=contract.DATABASE_OWNER,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            port=contract.DATABASE_PORT,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=parameters.name,
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
            enabled_cloudwatch_logs_exports=["postgresql", "upgrade"],
            deletion_protection=args.protect,
            skip_final_snapshot=not args.protect,
            final_snapshot_identifier=f"{name}-final" if args.protect else None,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.address = instance.address
        self.endpoint_port = instance.port
        self.master_secret_arn = instance.master_user_secrets.apply(
            lambda found: found[0].secret_arn or "" if found else ""
        )
        self.security_group_id = group.id
        self.register_outputs({"address": self.address})
