"""Arguments of the KMS key, secrets, database, cache, bucket, queue and backup copies."""

from __future__ import annotations

import pulumi

from slipway.components.backup_copies import BackupCopiesArgs
from slipway.components.kms_key import KmsKeyArgs
from slipway.components.outputs import NetworkOutputs
from slipway.components.rds_database import RdsDatabaseArgs
from slipway.components.redis_cache import AuthTokenUpdateStrategy, RedisCacheArgs
from slipway.components.s3_bucket import S3BucketArgs
from slipway.components.secrets import SecretsArgs
from slipway.components.sqs_queue import SqsQueueArgs
from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.config.settings import Settings


def kms_key_args(settings: Settings) -> KmsKeyArgs:
    """Returns the arguments of the stack's key: it outlives the stack if a final snapshot needs it."""
    return KmsKeyArgs(
        deletion_window_days=30 if settings.protect else 7,
        retain_on_delete=settings.database_final_snapshot,
    )


def secrets_args(settings: Settings, *, key_arn: pulumi.Input[str]) -> SecretsArgs:
    """Returns the arguments of the stack's secrets, with the generations of the settings."""
    return SecretsArgs(
        key_arn=key_arn,
        generation=settings.secrets_generation,
        former=settings.has_former_secrets,
        recovery_window_days=30 if settings.protect else 0,
    )


def rds_database_args(settings: Settings, *, network: NetworkOutputs, key_arn: pulumi.Input[str]) -> RdsDatabaseArgs:
    """Returns the arguments of the Postgres instance."""
    return RdsDatabaseArgs(
        network=network,
        key_arn=key_arn,
        instance_class=settings.database_class,
        version=settings.database_version,
        allow_major_version_upgrade=settings.database_major_upgrade,
        storage_gb=settings.database_storage_gb,
        multi_az=settings.database_multi_az,
        backup_retention_days=settings.database_backup_days,
        restore_snapshot_identifier=settings.database_restore_from,
        log_retention_days=settings.log_retention_days,
        protect=settings.protect,
        final_snapshot=settings.database_final_snapshot,
    )


def redis_cache_args(
    settings: Settings, *, network: NetworkOutputs, key_arn: pulumi.Input[str], auth_token: pulumi.Input[str]
) -> RedisCacheArgs:
    """Returns the arguments of the Redis replication group."""
    return RedisCacheArgs(
        network=network,
        key_arn=key_arn,
        auth_token=auth_token,
        node_type=settings.cache_class,
        version=settings.cache_version,
        nodes=settings.cache_nodes,
        auth_token_update_strategy=_auth_token_update_strategy(settings),
    )


def _auth_token_update_strategy(settings: Settings) -> AuthTokenUpdateStrategy | None:
    if settings.secrets_generation == 1:
        return None
    return "ROTATE" if settings.has_former_secrets else "SET"


def backup_copies_args(
    settings: Settings, *, key_arn: pulumi.Input[str], database_arn: pulumi.Input[str]
) -> BackupCopiesArgs:
    """Returns the arguments of the copies in `backupCopyRegion`."""
    return BackupCopiesArgs(
        database_arn=database_arn,
        key_arn=key_arn,
        region=settings.backup_copy_region,
        retention_days=settings.backup_copy_days,
        protect=settings.protect,
    )


def s3_bucket_args(settings: Settings) -> S3BucketArgs:
    """Returns the arguments of the app's bucket."""
    return S3BucketArgs(expiration_days=settings.bucket_expire_days, force_destroy=not settings.protect)


def sqs_queue_args(app: AppSpec) -> SqsQueueArgs:
    """Returns the arguments of the job queue: its visibility time-out follows from `jobTimeout`."""
    return SqsQueueArgs(visibility_timeout_seconds=constants.visibility_timeout_seconds(app.job_timeout))
