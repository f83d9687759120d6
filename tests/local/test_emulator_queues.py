"""SQS of the local AWS: a message goes to who still waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway_local.emulator import process

pytestmark = pytest.mark.e2e
WORKER = """
import boto3, sys
print("polling", flush=True)
boto3.client("sqs").receive_message(QueueUrl=sys.argv[1], WaitTimeSeconds=20)
"""


def test_a_message_is_not_given_to_a_worker_that_was_killed_while_it_waited(
    aws: Callable[[str], Any], emulator: process.Emulator
) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "900"})["QueueUrl"]
    variables = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for how in (signal.SIGKILL, signal.SIGTERM):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, url],
            env=os.environ | variables | {"AWS_ENDPOINT_URL": emulator.endpoint},
            stdout=subprocess.PIPE,
        )
        assert worker.stdout
        assert worker.stdout.readline() == b"polling\n"
        time.sleep(1)
        worker.send_signal(how)
        worker.communicate()
        sqs.send_message(QueueUrl=url, MessageBody=how.name)
        time.sleep(0.5)  # in which the one who has gone would be given it
        (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        assert message["Body"] == how.name
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_who_waits_is_given_a_message_as_it_comes(aws: Callable[[str], Any]) -> None:
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="later")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=2)
    began = time.monotonic()
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == "late"
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    assert time.monotonic() - began > 1  # it waited both times


@pytest.mark.parametrize("subject", ["x" * 101, "Umläut", " begins with a space", "two\nlines"])
def test_a_subject_that_sns_refuses_is_refused(aws: Callable[[str], Any], subject: str) -> None:
    sns = aws("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    with pytest.raises(ClientError, match="Invalid parameter: Subject"):
        sns.publish(TopicArn=topic, Subject=subject, Message="m")
    with pytest.raises(ClientError, match="Invalid parameter: Subject"):
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Subject": subject, "Message": "m"}])
    assert sns.publish(TopicArn=topic, Subject="x" * 100, Message="m")["MessageId"]
    assert sns.publish(TopicArn=topic, Message="without one")["MessageId"]
