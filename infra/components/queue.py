"""The job queue, with a place for what cannot be done."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components.alarm import Alarm
from infra.components.roles import Statement

SEND = ["sqs:SendMessage", "sqs:GetQueueUrl"]
TAKE = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
DEAD_LETTER_SECONDS = 14 * 24 * 3600
"""SQS's longest: time to look at what failed."""


@dataclass(frozen=True)
class QueueArgs:
    """Inputs of `Queue`."""

    visibility_seconds: int
    """A message that was taken and not deleted is given out again: longer than any job takes."""
    tries: int = 5
    """A message that was received so often is a dead letter."""


class Queue(pulumi.ComponentResource):
    """An SQS queue, encrypted, and its dead-letter queue. Costs 0.40 USD a million requests."""

    url: pulumi.Output[str]
    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    dead_arn: pulumi.Output[str]
    """Where what cannot be done ends."""
    send: Statement
    """What a role needs that gives jobs."""
    take: Statement
    """What a role needs that takes them; a retry is a message, so it may send as well."""
    alarms: list[Alarm]

    def __init__(self, name: str, args: QueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:queue:Queue", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        dead = aws.sqs.Queue(
            f"{name}-jobs-dead",
            message_retention_seconds=DEAD_LETTER_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        jobs = aws.sqs.Queue(
            f"{name}-jobs",
            visibility_timeout_seconds=args.visibility_seconds,
            message_retention_seconds=4 * 24 * 3600,
            receive_wait_time_seconds=10,
            sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": args.tries}),
            opts=child,
        )
        self.url, self.arn, self.name, self.dead_arn = jobs.url, jobs.arn, jobs.name, dead.arn
        self.send = {"Effect": "Allow", "Action": SEND, "Resource": jobs.arn}
        self.take = {"Effect": "Allow", "Action": [*SEND, *TAKE], "Resource": jobs.arn}
        self.alarms = [
            Alarm(
                "queue-age",
                "Jobs wait: the oldest is over ten minutes old",
                "AWS/SQS",
                "ApproximateAgeOfOldestMessage",
                {"QueueName": jobs.name},
                statistic="Maximum",
                over=600,  # seconds
            ),
            Alarm(
                "dead-letters",
                "A job failed for good: look at the dead-letter queue, mend, redrive",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": dead.name},
                statistic="Maximum",
                over=0,
            ),
        ]
        self.register_outputs({"url": self.url})
