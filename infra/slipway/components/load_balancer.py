"""The application load balancer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pulumi
import pulumi_aws as aws

from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.outputs import LoadBalancerOutputs, NetworkOutputs
from slipway.components.s3_bucket import S3Bucket, S3BucketArgs
from slipway.config import constants, names

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""TLS 1.3, and 1.2 with forward secrecy and AEAD ciphers only: one of AWS's policies that pass ELB.17."""
REDIRECT_TO_HTTPS_ACTION: aws.lb.ListenerDefaultActionArgsDict = {
    "type": "redirect",
    "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"},
}
ANYWHERE = "0.0.0.0/0"
CLOUDFRONT_PREFIX_LIST = "com.amazonaws.global.cloudfront.origin-facing"
"""AWS's list of the addresses that CloudFront sends requests from. It counts as 55 of the 60 rules of a security group,
so it is allowed on one port only.
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/LocationsOfEdgeServers.html
https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html"""
SERVICE_NOT_FOUND_ACTION: aws.lb.ListenerDefaultActionArgsDict = {
    "type": "fixed-response",
    "fixed_response": {"content_type": "text/plain", "message_body": "no such service", "status_code": "404"},
}


@dataclass(frozen=True)
class ApplicationLoadBalancerArgs:
    """Inputs of `ApplicationLoadBalancer`."""

    network: NetworkOutputs
    access_log_retention_days: int = 30
    """Days that access logs are kept (ELB.5)."""
    domain: str = ""
    certificate_arn: pulumi.Input[str] | None = None
    """With it the load balancer serves HTTPS, and HTTP redirects there."""
    internal: bool = False
    """Whether it has private addresses only."""
    allowed_cidrs: Sequence[str] = ("0.0.0.0/0",)
    """IPv4 ranges that may reach it."""
    behind_cloudfront: bool = False
    """Whether only CloudFront's servers may reach it, in place of `allowed_cidrs`, and only its HTTPS."""
    idle_timeout: int = constants.IDLE_TIMEOUT_SECONDS
    """Seconds without a byte after which it closes a connection: how long an answer may let wait, 1 to 4000."""
    deletion_protection: bool = False
    """ELB.6."""
    hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the load balancer changes."""


class ApplicationLoadBalancer(pulumi.ComponentResource):
    """Creates a load balancer, internet-facing or internal, with its security group, listeners and access log bucket.

    With a certificate it listens on 443 and redirects 80 there; without one it listens on 80. Services add rules; a
    request that matches none gets a 404 from the load balancer. Costs about 16 USD a month and 0.008 USD a capacity
    unit and hour.
    """

    arn: pulumi.Output[str]
    outputs: LoadBalancerOutputs
    alarms: list[Alarm]

    def __init__(
        self, name: str, args: ApplicationLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:elb:ApplicationLoadBalancer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Behind CloudFront too: another description would be another group.
        source = "the internet" if ANYWHERE in args.allowed_cidrs else "the allowed networks"
        group = aws.ec2.SecurityGroup(
            f"{name}-lb",
            description=f"The load balancer: reached from {source}, reaches the services",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        if args.behind_cloudfront:
            self._allow_cloudfront(name, group)
        else:
            self._allow_cidrs(name, args, group)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        logs = S3Bucket(
            f"{name}-access-logs",
            S3BucketArgs(
                expiration_days=args.access_log_retention_days,
                force_destroy=not args.deletion_protection,
                access_log_account=account,
            ),
            opts=child,
        )
        load_balancer = aws.lb.LoadBalancer(
            names.truncate_name(f"{name}-lb"),
            load_balancer_type="application",
            internal=args.internal,
            subnets=args.network.public_subnet_ids,
            security_groups=[group.id],
            idle_timeout=args.idle_timeout,
            # ELB.4 and .12: invalid headers are dropped, and a request cannot be smuggled behind another.
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.deletion_protection,
            access_logs={"bucket": logs.bucket, "enabled": True},
            xff_header_processing_mode=constants.PRESERVE_FORWARDED_FOR if args.behind_cloudfront else None,
            # AWS writes a test object when access logs are enabled: the bucket policy must allow it by then.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[logs.policy, *args.network.ready],
                hooks=args.hooks,
                # The program changes them when it is time: release/shared_timeouts.py, release/forwarded_for.py.
                ignore_changes=["idleTimeout", "xffHeaderProcessingMode"],
            ),
        )
        listener = self._create_listeners(name, args, load_balancer)
        self.arn = load_balancer.arn
        self.outputs = LoadBalancerOutputs(
            listener_arn=listener.arn,
            security_group_id=group.id,
            arn_suffix=load_balancer.arn_suffix,
            dns_name=load_balancer.dns_name,
            zone_id=load_balancer.zone_id,
            url=(
                f"https://{args.domain}/"
                if args.certificate_arn
                else pulumi.Output.format("http://{0}/", load_balancer.dns_name)
            ),
        )
        self.alarms = [
            Alarm(
                "load-balancer-errors",
                "The load balancer itself answers with 5xx: no task is there to answer, or it closes connections",
                "AWS/ApplicationELB",
                "HTTPCode_ELB_5XX_Count",
                {"LoadBalancer": load_balancer.arn_suffix},
                statistic="Sum",
                greater_than=10,
            )
        ]
        self.register_outputs({"url": self.outputs.url})

    def _allow_cidrs(self, name: str, args: ApplicationLoadBalancerArgs, group: aws.ec2.SecurityGroup) -> None:
        ports = {"http": 80} | ({"https": 443} if args.certificate_arn else {})
        for (protocol, port), (index, cidr) in product(ports.items(), enumerate(args.allowed_cidrs)):
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-lb-{protocol}{f'-{index}' if index else ''}",
                security_group_id=group.id,
                description=f"{protocol.upper()} from {'the internet' if cidr == ANYWHERE else cidr}",
                cidr_ipv4=cidr,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _allow_cloudfront(self, name: str, group: aws.ec2.SecurityGroup) -> None:
        prefix_list = aws.ec2.get_managed_prefix_list_output(
            name=CLOUDFRONT_PREFIX_LIST, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-lb-cloudfront",
            security_group_id=group.id,
            description="HTTPS from CloudFront",
            prefix_list_id=prefix_list.id,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_listeners(
        self, name: str, args: ApplicationLoadBalancerArgs, load_balancer: aws.lb.LoadBalancer
    ) -> aws.lb.Listener:
        """Creates the listeners and returns the one that services add their rules to."""
        child = pulumi.ResourceOptions(parent=self)
        http = aws.lb.Listener(
            f"{name}-http",
            load_balancer_arn=load_balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[REDIRECT_TO_HTTPS_ACTION if args.certificate_arn else SERVICE_NOT_FOUND_ACTION],
            opts=child,
        )
        if not args.certificate_arn:
            return http
        return aws.lb.Listener(
            f"{name}-https",
            load_balancer_arn=load_balancer.arn,
            port=443,
            protocol="HTTPS",
            certificate_arn=args.certificate_arn,
            ssl_policy=TLS_POLICY,
            default_actions=[SERVICE_NOT_FOUND_ACTION],
            opts=child,
        )
