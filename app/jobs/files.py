"""Where finished exports are kept: a bucket where there is one, else the database."""

import asyncio
import uuid
from typing import Any, Protocol

import boto3
from sqlalchemy import select

from app.core.database import Database
from app.core.settings import Settings
from app.models import ExportFile


class Files(Protocol):
    """Keeps one file an export."""

    async def put(self, export_id: uuid.UUID, content: bytes) -> None:
        """Keep the file; the same one again replaces it."""

    async def get(self, export_id: uuid.UUID) -> bytes | None:
        """The file; None when there is none."""


class DatabaseFiles:
    """Files as rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, export_id: uuid.UUID, content: bytes) -> None:
        """See Files."""
        async with self._database.unit() as unit:
            await unit.session.merge(ExportFile(export_id=export_id, content=content))

    async def get(self, export_id: uuid.UUID) -> bytes | None:
        """See Files."""
        statement = select(ExportFile.content).where(ExportFile.export_id == export_id)
        row = await self._database.reader.row(statement)
        return row["content"] if row else None


class BucketFiles:
    """Files as objects of an S3 bucket; boto3 blocks, so it works in threads."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.exports_bucket
        self._s3: Any = boto3.client(
            "s3", region_name=settings.aws_region, endpoint_url=settings.aws_endpoint_url or None
        )

    async def put(self, export_id: uuid.UUID, content: bytes) -> None:
        """See Files."""
        await asyncio.to_thread(
            self._s3.put_object,
            Bucket=self._bucket,
            Key=self._key(export_id),
            Body=content,
            ContentType="text/csv",
        )

    async def get(self, export_id: uuid.UUID) -> bytes | None:
        """See Files."""
        try:
            found = await asyncio.to_thread(self._s3.get_object, Bucket=self._bucket, Key=self._key(export_id))
        except self._s3.exceptions.NoSuchKey:
            return None
        content: bytes = await asyncio.to_thread(found["Body"].read)
        return content

    def _key(self, export_id: uuid.UUID) -> str:
        return f"exports/{export_id}.csv"


def make_files(settings: Settings, database: Database) -> Files:
    """The place that the settings name."""
    return BucketFiles(settings) if settings.exports_bucket else DatabaseFiles(database)
