"""Where finished exports are kept: a bucket where there is one, else the database."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import select

from app.core.db.database import Database
from app.core.settings import Settings
from app.models import ExportFile

CHUNK = 64 * 1024
CONNECT_SECONDS = 1
REQUEST_SECONDS = 3
"""How long S3 may say nothing to a request, which a client waits for."""
JOB_SECONDS = 20
"""How long S3 may say nothing to a job, which is tried again anyway."""


class FilesUnavailableError(Exception):
    """The place of files does not answer."""


@dataclass(frozen=True)
class File:
    """A file that is being read: its size in bytes, and its content."""

    size: int
    chunks: AsyncIterator[bytes]


class DatabaseFiles:
    """One file an export as a row; for what fits into memory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, export_id: uuid.UUID, content: BinaryIO) -> None:
        """Keep the file; the same one again replaces it."""
        async with self._database.unit() as unit:
            await unit.session.merge(ExportFile(export_id=export_id, content=content.read()))

    async def open(self, export_id: uuid.UUID) -> File | None:
        """The file; None when there is none."""
        statement = select(ExportFile.content).where(ExportFile.export_id == export_id)
        row = await self._database.reader.row(statement)
        return File(len(row["content"]), _whole(row["content"])) if row else None


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


class BucketFiles:
    """Files as objects of an S3 bucket; boto3 blocks, so it works in threads. Raises FilesUnavailableError."""

    def __init__(self, settings: Settings, seconds: float) -> None:
        self._bucket = settings.exports_bucket
        # One try: a client is asked to come again, and a job is tried again anyway.
        limits = Config(connect_timeout=CONNECT_SECONDS, read_timeout=seconds, retries={"total_max_attempts": 1})
        self._s3: Any = boto3.client("s3", region_name=settings.aws_region, config=limits)

    async def put(self, export_id: uuid.UUID, content: BinaryIO) -> None:
        """Keep the file, in parts, so that a large one is never in memory as a whole."""
        extra = {"ContentType": "text/csv"}
        try:
            await asyncio.to_thread(self._s3.upload_fileobj, content, self._bucket, self._key(export_id), extra)
        except (BotoCoreError, ClientError, boto3.exceptions.Boto3Error) as error:
            raise FilesUnavailableError(str(error)) from error

    async def open(self, export_id: uuid.UUID) -> File | None:
        try:
            response = await asyncio.to_thread(self._s3.get_object, Bucket=self._bucket, Key=self._key(export_id))
        except self._s3.exceptions.NoSuchKey:
            return None
        except (BotoCoreError, ClientError) as error:
            raise FilesUnavailableError(str(error)) from error
        return File(response["ContentLength"], _parts(response["Body"]))

    def _key(self, export_id: uuid.UUID) -> str:
        return f"exports/{export_id}.csv"


async def _parts(body: Any) -> AsyncIterator[bytes]:
    try:
        while part := await asyncio.to_thread(body.read, CHUNK):
            yield part
    finally:
        body.close()


Files = DatabaseFiles | BucketFiles


def make_files(settings: Settings, database: Database, seconds: float = REQUEST_SECONDS) -> Files:
    """The place that the settings name. `seconds`: how long it may say nothing before it counts as away."""
    return BucketFiles(settings, seconds) if settings.exports_bucket else DatabaseFiles(database)
