"""CloudWatch alarms of an environment, and the SNS topic that they notify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pulumi
import pulumi_aws as aws

from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.iam_roles import policy_document

EVENTBRIDGE_PUBLISH_STATEMENT = {
    "Sid": "TasksAndBackupsThatFail",
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},  # EventBridge's rules; AWS documents no condition for them
    "Action": "sns:Publish",
}


class HasAlarms(Protocol):
    """A component that declares alarms."""

    alarms: list[Alarm]


@dataclass(frozen=True)
class AlarmsArgs:
    """Inputs of `Alarms`."""

    key_arn: pulumi.Input[str]
    alarms: Sequence[Alarm]
    email: str = ""
    """Address that is subscribed to the topic; AWS asks it for consent. Empty: none."""
    scheduled_task_families: Mapping[str, str] = field(default_factory=dict)
    """Scheduled process -> its task family: each task is expected to exit with 0."""
    cluster_arn: pulumi.Input[str] = ""
    """Cluster of the scheduled tasks."""
    backup_source_arn: pulumi.Input[str] = ""
    """Resource that AWS Backup copies to another region; empty: none."""


class Alarms(pulumi.ComponentResource):
    """Creates an encrypted SNS topic (SNS.1) and a CloudWatch alarm for each `Alarm`, which notifies it.

    Also creates EventBridge rules: one for failed tasks of each scheduled process, and one for failed backups and
    copies. Costs 0.10 USD a month for each metric that an alarm reads.
    """

    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:cloudwatch:Alarms", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(f"{name}-alarms", kms_master_key_id=args.key_arn, opts=child)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        topic_policy = aws.sns.TopicPolicy(
            f"{name}-alarms",
            arn=topic.arn,
            policy=policy_document(
                [
                    {
                        "Sid": "AlarmsAndBudgetsOfThisAccount",
                        "Effect": "Allow",
                        "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]},
                        "Action": "sns:Publish",
                        "Resource": topic.arn,
                        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                    },
                    *(
                        [EVENTBRIDGE_PUBLISH_STATEMENT | {"Resource": topic.arn}]
                        if args.scheduled_task_families or args.backup_source_arn
                        else []
                    ),
                ]
            ),
            opts=child,
        )
        if args.email:
            aws.sns.TopicSubscription(
                f"{name}-alarms-email", topic=topic.arn, protocol="email", endpoint=args.email, opts=child
            )
        for alarm in args.alarms:
            create_metric_alarm(f"{name}-{alarm.name}", alarm, actions=[topic.arn], opts=child)
        for label, family in args.scheduled_task_families.items():
            _create_task_failure_rule(name, label, family, args.cluster_arn, topic_policy.arn, opts=child)
        if args.backup_source_arn:
            _create_backup_failure_rule(name, args.backup_source_arn, topic_policy.arn, opts=child)
        self.topic_arn = topic_policy.arn  # a publisher depends on the policy
        self.register_outputs({"topicArn": self.topic_arn})


def _create_task_failure_rule(
    name: str,
    label: str,
    family: str,
    cluster_arn: pulumi.Input[str],
    topic_arn: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Notify the topic of each task of a family that did not start, or whose container did not exit with 0."""
    # The process's own container: a sidecar is stopped with 143 after success. Both are of one element of the array.
    exited_with_error = {"containers": {"name": [label], "exitCode": [{"anything-but": 0}]}}
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
                    "$or": [exited_with_error, {"stopCode": ["TaskFailedToStart"]}],
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


def _create_backup_failure_rule(
    name: str, backup_source_arn: pulumi.Input[str], topic_arn: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> None:
    """Notify the topic of each backup, and each copy to another region, that failed."""
    rule = aws.cloudwatch.EventRule(
        f"{name}-backup-failed",
        description="A backup of the database, or its copy to another region, failed",
        event_pattern=pulumi.Output.json_dumps(
            {
                "source": ["aws.backup"],
                "detail-type": ["Backup Job State Change", "Copy Job State Change"],
                "detail": {"resourceArn": [backup_source_arn], "state": ["FAILED", "ABORTED", "EXPIRED"]},
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


def create_metric_alarm(
    name: str, alarm: Alarm, *, actions: Sequence[pulumi.Input[str]] = (), opts: pulumi.ResourceOptions
) -> aws.cloudwatch.MetricAlarm:
    """Creates the CloudWatch alarm of a condition; `actions` are notified when it starts and when it ends."""
    is_percentile = alarm.statistic.startswith("p")
    is_share = bool(alarm.denominator_metric)
    return aws.cloudwatch.MetricAlarm(
        name,
        alarm_description=alarm.description,
        comparison_operator="GreaterThanThreshold" if alarm.less_than is None else "LessThanThreshold",
        threshold=alarm.greater_than if alarm.less_than is None else alarm.less_than,
        evaluation_periods=alarm.evaluation_periods,
        datapoints_to_alarm=alarm.evaluation_periods,
        treat_missing_data="breaching" if alarm.treat_missing_data_as_breaching else "notBreaching",
        alarm_actions=list(actions),
        ok_actions=list(actions),
        namespace=None if is_share else alarm.namespace,
        metric_name=None if is_share else alarm.metric,
        dimensions=None if is_share else alarm.dimensions,
        period=None if is_share else alarm.period_seconds,
        statistic=None if is_share or is_percentile else alarm.statistic,
        extended_statistic=alarm.statistic if is_percentile and not is_share else None,
        metric_queries=_share_queries(alarm) if is_share else None,
        opts=opts,
    )


def _share_queries(alarm: Alarm) -> list[aws.cloudwatch.MetricAlarmMetricQueryArgsDict]:
    """Returns the queries of `metric` as a percentage of `denominator_metric`."""

    def metric_query(query_id: str, metric_name: str) -> aws.cloudwatch.MetricAlarmMetricQueryArgsDict:
        return {
            "id": query_id,
            "metric": {
                "namespace": alarm.namespace,
                "metric_name": metric_name,
                "dimensions": alarm.dimensions,
                "stat": alarm.statistic,
                "period": alarm.period_seconds,
            },
        }

    share: aws.cloudwatch.MetricAlarmMetricQueryArgsDict = {
        "id": "share",
        "expression": "100 * FILL(part, 0) / whole",
        "label": f"{alarm.metric}, % of {alarm.denominator_metric}",
        "return_data": True,
    }
    return [share, metric_query("part", alarm.metric), metric_query("whole", alarm.denominator_metric)]
