"""Settings of the database, the cache and the bucket."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from slipway.config.aws_limits import DATABASE_MEMORY_GIB
from slipway.config.setting_sections.base import SettingSection, choices

SNAPSHOT_ID_PATTERN = r"^([A-Za-z][\w:-]*)?$"
"""An RDS snapshot's name or ARN, empty for none. RDS's automated ones begin with `rds:`."""


def _check_database_class(value: str) -> str:
    if value not in DATABASE_MEMORY_GIB:
        raise ValueError(f"allowed are {', '.join(sorted(DATABASE_MEMORY_GIB))}")
    return value


class DatabaseSettings(SettingSection):
    """Database"""

    database_class: Annotated[str, AfterValidator(_check_database_class), choices(DATABASE_MEMORY_GIB)] = "db.t4g.micro"
    """The RDS instance class."""
    database_version: Annotated[
        str, Field(pattern=r"^\d+$", coerce_numbers_to_str=True, json_schema_extra={"type": ["string", "integer"]})
    ] = "17"
    """The major version of Postgres. RDS installs minor versions itself."""
    database_major_upgrade: bool = False
    """Whether the next `up` may upgrade the database to another major version: docs/how-to/upgrade-postgres.md."""
    database_storage_gb: Annotated[int, Field(ge=20, le=65536)] = 20
    """Storage of the database in GB. It grows automatically up to five times that."""
    database_multi_az: bool = False
    """Whether the database has a standby in another zone. Required in prod."""
    database_backup_days: Annotated[int, Field(ge=0, le=35)] = 7
    """Days of automated backups and point-in-time recovery. At least 7 in prod."""
    database_final_snapshot: bool = True
    """Whether destroying the database leaves a final snapshot, and its automated backups until they expire."""
    database_restore_from: Annotated[str, Field(pattern=SNAPSHOT_ID_PATTERN)] = ""
    """The snapshot that the database is created from. Another value replaces the database:
    docs/how-to/restore.md."""
    database_pool_size: Annotated[int, Field(ge=1, le=100)] = 5
    """Connections in the pool of each server process."""
    database_ca: str = ""
    """PEM file of the CA that signs the database's certificate, relative to the project. Empty: RDS's own CAs."""
    backup_copy_region: Annotated[str, Field(pattern=r"^([a-z]{2}(-[a-z]+)+-\d)?$")] = ""
    """Another region to which AWS Backup copies the database every day, under a key of its own. Empty: none."""
    backup_copy_days: Annotated[int, Field(ge=1, le=36500)] = 35
    """Days that AWS Backup keeps these copies."""


class CacheSettings(SettingSection):
    """Cache"""

    cache_class: Annotated[str, Field(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")] = "cache.t4g.micro"
    """The ElastiCache node type."""
    cache_version: Annotated[str, Field(pattern=r"^\d+\.\d+$", coerce_numbers_to_str=True)] = "7.1"
    """The version of Redis, in quotes."""
    cache_nodes: Annotated[int, Field(ge=1, le=6)] = 1
    """Number of Redis nodes. With two or more there is automatic failover. At least two in prod."""
    cache_ca: str = ""
    """PEM file of the CA that signs the cache's certificate, relative to the project. Empty: public CAs."""


class BucketSettings(SettingSection):
    """Bucket"""

    bucket_expire_days: Annotated[int, Field(ge=0, le=36500)] = 30
    """Days after which the app's objects in the bucket expire. 0: never."""
