"""How the load balancer handles X-Forwarded-For: set when the domain leads to it, or to CloudFront, and not before.

It appends the address that it sees. Behind CloudFront that is CloudFront's, after the visitor's, which CloudFront has
appended; the load balancer then leaves the header as it is, and the app finds the visitor's address at the end of it,
as ever. Changed before the DNS record, every visitor would have the load balancer's address, or the one that he names.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from slipway.config.constants import APPEND_FORWARDED_FOR, PRESERVE_FORWARDED_FOR
from slipway.release.aws_session import AwsSession
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.post_deploy_verification import change_on_every_up
from slipway.release.progress import ProgressReporter

FORWARDED_FOR_MODE = "routing.http.xff_header_processing.mode"
RECORD_SECONDS = 60.0
"""How long resolvers keep the load balancer's address after the record of a domain has changed: the time to live of an
alias record.
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html"""


def set_forwarded_for_mode_after(
    load_balancer_arn: pulumi.Input[str], mode: str, ready: Sequence[pulumi.Output[Any]]
) -> pulumi.Output[str]:
    """Sets the load balancer's mode when `ready` is known, and returns it; on every `up`, so that it is restored."""

    def change(aws: AwsSession, load_balancer: str, report: ProgressReporter) -> None:
        set_forwarded_for_mode(aws, load_balancer, mode, report)

    return change_on_every_up(load_balancer_arn, ready, change, mode)


def set_forwarded_for_mode(
    aws: AwsSession, load_balancer_arn: str, mode: str, report: ProgressReporter, clock: Clock = SYSTEM_CLOCK
) -> None:
    """Sets the mode, `append` or `preserve`, where it is another.

    Before `preserve` it waits until no resolver leads visitors to the load balancer itself any more.
    """
    answer = aws.client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=load_balancer_arn)
    attributes = {pair["Key"]: pair["Value"] for pair in answer["Attributes"]}
    current = attributes.get(FORWARDED_FOR_MODE, APPEND_FORWARDED_FOR)
    if current == mode:
        return
    if mode == PRESERVE_FORWARDED_FOR:
        report(f"Waiting {RECORD_SECONDS:.0f} s until every resolver has CloudFront's address")
        clock.sleep(RECORD_SECONDS)
    aws.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=load_balancer_arn, Attributes=[{"Key": FORWARDED_FOR_MODE, "Value": mode}]
    )
    report(f"The load balancer's X-Forwarded-For: {current} to {mode}")
