"""The job queue and its dead-letter queue."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.iam_roles import Statement

SEND_ACTIONS = ["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
"""Celery's producer asks for the queue's attributes before it sends."""
CONSUME_ACTIONS = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 3600
"""SQS's maximum."""


@dataclass(frozen=True)
class SqsQueueArgs:
    """Inputs of `SqsQueue`."""

    visibility_timeout_seconds: int
    """Visibility time-out in seconds, after which SQS delivers a message again: longer than any job."""
    max_receive_count: int = 5
    """Deliveries after which a message moves to the dead-letter queue."""


class SqsQueue(pulumi.ComponentResource):
    """Creates an encrypted SQS queue and its dead-letter queue. Costs 0.40 USD a million requests."""

    url: pulumi.Output[str]
    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    dead_letter_queue_arn: pulumi.Output[str]
    """ARN of the queue of messages that failed for good."""
    send_statement: Statement
    """Statement of a role that sends jobs."""
    consume_statement: Statement
    """Statement of a role that receives jobs; it may send too, because a retry is a new message."""
    alarms: list[Alarm]

    def __init__(self, name: str, args: SqsQueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:sqs:SqsQueue", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        dead_letters = aws.sqs.Queue(
            f"{name}-jobs-dead",
            message_retention_seconds=DEAD_LETTER_RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        jobs = aws.sqs.Queue(
            f"{name}-jobs",
            # The program changes it (release/shared_timeouts.py): a shorter one after the rollout.
            visibility_timeout_seconds=args.visibility_timeout_seconds,
            message_retention_seconds=4 * 24 * 3600,
            receive_wait_time_seconds=10,
            sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": args.max_receive_count}
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["visibilityTimeoutSeconds"]),
        )
        self.url = jobs.url
        self.arn = jobs.arn
        self.name = jobs.name
        self.dead_letter_queue_arn = dead_letters.arn
        self.send_statement = {"Effect": "Allow", "Action": SEND_ACTIONS, "Resource": jobs.arn}
        self.consume_statement = {"Effect": "Allow", "Action": [*SEND_ACTIONS, *CONSUME_ACTIONS], "Resource": jobs.arn}
        self.alarms = [
            Alarm(
                "queue-age",
                "Jobs wait: the oldest is over ten minutes old",
                "AWS/SQS",
                "ApproximateAgeOfOldestMessage",
                {"QueueName": jobs.name},
                statistic="Maximum",
                greater_than=600,  # seconds
            ),
            Alarm(
                "dead-letters",
                "A job failed for good: look at the dead-letter queue, fix the cause, redrive",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": dead_letters.name},
                statistic="Maximum",
                greater_than=0,
            ),
        ]
        self.register_outputs({"url": self.url})
