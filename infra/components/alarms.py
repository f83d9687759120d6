"""The CloudWatch alarms of an environment, and the topic that tells people of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi
import pulumi_aws as aws

from infra.components.alarm import Alarm
from infra.components.roles import policy
from infra.settings import Settings

BY_RULES = {
    "Sid": "TasksAndBackupsThatFail",
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},  # EventBridge's rules; AWS documents no condition for them
    "Action": "sns:Publish",
}


class Watched(Protocol):
    """A component that says what it wants to be watched for."""

    alarms: list[Alarm]


@dataclass(frozen=True)
class AlarmsArgs:
    """Inputs of `Alarms`."""

    key_arn: pulumi.Input[str]
    watched: Sequence[Alarm]
    email: str = ""
    """Who gets a mail; AWS asks for consent first. Chat and pagers subscribe to the topic themselves."""
    one_off: Mapping[str, str] = field(default_factory=dict)
    """Process that runs and ends -> the family of its tasks: each is expected to end with 0."""
    cluster_arn: pulumi.Input[str] = ""
    """Where those run."""
    copied_arn: pulumi.Input[str] = ""
    """What AWS Backup copies elsewhere; empty for nothing."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        key_arn: pulumi.Input[str],
        watched: Sequence[Watched],
        one_off: Mapping[str, str],
        cluster_arn: pulumi.Input[str],
        copied_arn: pulumi.Input[str],
    ) -> AlarmsArgs:
        """As a stack's settings have it."""
        alarms = [alarm for component in watched for alarm in component.alarms]
        return cls(key_arn, alarms, settings.alarm_email, one_off, cluster_arn, copied_arn)


class Alarms(pulumi.ComponentResource):
    """One encrypted SNS topic (SNS.1) and an alarm for each condition; each tells when it begins and when it is over.

    And rules of EventBridge: for each process that runs by the clock one that tells of a task that failed, and one for
    backups that are copied.

    Costs 0.10 USD a month for each metric that an alarm reads.
    """

    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:alarms:Alarms", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(f"{name}-alarms", kms_master_key_id=args.key_arn, opts=child)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        may_publish = aws.sns.TopicPolicy(
            f"{name}-alarms",
            arn=topic.arn,
            policy=policy(
                [
                    {
                        "Sid": "AlarmsAndBudgetsOfThisAccount",
                        "Effect": "Allow",
                        "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]},
                        "Action": "sns:Publish",
                        "Resource": topic.arn,
                        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                    },
                    *([BY_RULES | {"Resource": topic.arn}] if args.one_off or args.copied_arn else []),
                ]
            ),
            opts=child,
        )
        if args.email:
            aws.sns.TopicSubscription(
                f"{name}-alarms-email", topic=topic.arn, protocol="email", endpoint=args.email, opts=child
            )
        for alarm in args.watched:
            metric_alarm(f"{name}-{alarm.name}", alarm, actions=[topic.arn], opts=child)
        for label, family in args.one_off.items():
            _told_of_failures(name, label, family, args.cluster_arn, may_publish.arn, opts=child)
        if args.copied_arn:
            _told_of_backups(name, args.copied_arn, may_publish.arn, opts=child)
        self.topic_arn = may_publish.arn  # who publishes waits until it may
        self.register_outputs({"topicArn": self.topic_arn})


def _told_of_failures(
    name: str,
    label: str,
    family: str,
    cluster_arn: pulumi.Input[str],
    topic_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Tell the topic of each task of a family that did not start, or in which something ended with another code."""
    # Of its own container: one beside it is stopped with 143 when it has ended well. Both of one element of the array.
    ended = {"containers": {"name": [label], "exitCode": [{"anything-but": 0}]}}
    rule = aws.cloudwatch.EventRule(
        f"{name}-{label}-failed",
        description=f"A task of {label} did not start, or ended with another exit code than 0",
        event_pattern=pulumi.Output.json_dumps(
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {
                    "clusterArn": [cluster_arn],
                    "group": [f"family:{family}"],
                    "lastStatus": ["STOPPED"],
                    "$or": [ended, {"stopCode": ["TaskFailedToStart"]}],
                },
            }
        ),
        opts=opts,
    )
    aws.cloudwatch.EventTarget(
        f"{name}-{label}-failed",
        rule=rule.name,
        arn=topic_arn,
        input_transformer={
            "input_paths": {"reason": "$.detail.stoppedReason", "task": "$.detail.taskArn"},
            "input_template": f'"{family}: a task has failed: <reason>. Its log says more: <task>"',
        },
        opts=opts,
    )


def _told_of_backups(
    name: str, copied_arn: pulumi.Input[str], topic_arn: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> None:
    """Tell the topic of each backup that was not made, and each copy that did not get to the other region."""
    rule = aws.cloudwatch.EventRule(
        f"{name}-backup-failed",
        description="A backup of the database, or its copy to another region, did not come about",
        event_pattern=pulumi.Output.json_dumps(
            {
                "source": ["aws.backup"],
                "detail-type": ["Backup Job State Change", "Copy Job State Change"],
                "detail": {"resourceArn": [copied_arn], "state": ["FAILED", "ABORTED", "EXPIRED"]},
            }
        ),
        opts=opts,
    )
    aws.cloudwatch.EventTarget(
        f"{name}-backup-failed",
        rule=rule.name,
        arn=topic_arn,
        input_transformer={
            "input_paths": {"what": "$.detail-type", "state": "$.detail.state", "reason": "$.detail.statusMessage"},
            "input_template": f'"{name}: a backup has failed (<what>): <state>. <reason>"',
        },
        opts=opts,
    )


def metric_alarm(
    name: str, alarm: Alarm, *, actions: Sequence[pulumi.Input[str]] = (), opts: pulumi.ResourceOptions
) -> aws.cloudwatch.MetricAlarm:
    """The CloudWatch alarm of a condition; `actions` are told when it begins and when it is over."""
    return aws.cloudwatch.MetricAlarm(
        name,
        alarm_description=alarm.why,
        comparison_operator="GreaterThanThreshold" if alarm.under is None else "LessThanThreshold",
        threshold=alarm.over if alarm.under is None else alarm.under,
        evaluation_periods=alarm.minutes,
        datapoints_to_alarm=alarm.minutes,
        treat_missing_data="breaching" if alarm.silence_is_wrong else "notBreaching",
        alarm_actions=list(actions),
        ok_actions=list(actions),
        **_what(alarm),
        opts=opts,
    )


def _what(alarm: Alarm) -> dict[str, Any]:
    if not alarm.share_of:
        percentile = alarm.statistic.startswith("p")
        return {
            "namespace": alarm.namespace,
            "metric_name": alarm.metric,
            "dimensions": alarm.dimensions,
            "period": alarm.period_seconds,
            "extended_statistic" if percentile else "statistic": alarm.statistic,
        }

    def metric(id: str, name: str) -> dict[str, Any]:
        return {
            "id": id,
            "metric": {
                "namespace": alarm.namespace,
                "metric_name": name,
                "dimensions": alarm.dimensions,
                "stat": alarm.statistic,
                "period": alarm.period_seconds,
            },
        }

    share = {
        "id": "share",
        "expression": "100 * FILL(part, 0) / whole",
        "label": f"{alarm.metric}, % of {alarm.share_of}",
        "return_data": True,
    }
    return {"metric_queries": [share, metric("part", alarm.metric), metric("whole", alarm.share_of)]}
