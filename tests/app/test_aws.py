"""Exports on S3 and SQS: the file in a bucket, the job through a queue, and a queue that is away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from prometheus_client import REGISTRY

from app.core.settings import Settings
from app.jobs.files import BucketFiles
from app.jobs.sender import CelerySender
from app.migrate import upgrade
from tests.app.conftest import KEY, Running, new_database, register
from tests.app.servers import Server, aws
from tests.app.test_production import celery_worker, finished_export

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, aws(tmp_path_factory.mktemp("aws")) as address:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": address}).items():
            patch.setenv(name, value)
        yield address


def settings_for(endpoint: str, **values: Any) -> Settings:
    bucket, queue = f"b-{uuid.uuid4().hex}", f"q-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    url = boto3.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
    common: dict[str, Any] = {"secret_key": KEY, "aws_endpoint_url": endpoint, "exports_bucket": bucket}
    return Settings(_env_file=None, jobs_queue_url=url, **common, **values)


async def test_a_file_is_kept_and_replaced(endpoint: str) -> None:
    files = BucketFiles(settings_for(endpoint))
    export_id = uuid.uuid4()
    assert await files.get(export_id) is None
    await files.put(export_id, b"one")
    await files.put(export_id, b"two")
    assert await files.get(export_id) == b"two"


async def test_an_export_goes_through_the_queue_into_the_bucket(
    endpoint: str, tmp_path: Path, postgres_server: tuple[Server, str]
) -> None:
    url = await new_database(postgres_server[1])
    settings = settings_for(endpoint, database_url=url)
    await asyncio.to_thread(upgrade, settings)
    names = {
        "DATABASE_URL": url,
        "JOBS_QUEUE_URL": str(settings.jobs_queue_url),
        "EXPORTS_BUCKET": str(settings.exports_bucket),
        "AWS_ENDPOINT_URL": endpoint,
    }
    log = tmp_path / "worker.log"
    with celery_worker(log, **names, **CREDENTIALS):
        async with AsyncExitStack() as stack:
            user = await register(await Running(stack, settings).client())
            path = await finished_export(user)
            boto3.client("s3").delete_object(
                Bucket=str(settings.exports_bucket), Key=f"exports/{path.split('/')[-1]}.csv"
            )
            assert (await user.get(f"{path}/file")).status_code == 410


async def test_a_queue_that_is_away_is_counted_and_no_error(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_for(endpoint)
    boto3.client("sqs").delete_queue(QueueUrl=str(settings.jobs_queue_url))
    labels = {"job": "export", "outcome": "unsent"}
    before = REGISTRY.get_sample_value("jobs_total", labels) or 0
    sender = CelerySender(settings)
    await sender.export(uuid.uuid4())
    await sender.close()
    assert REGISTRY.get_sample_value("jobs_total", labels) == before + 1
