"""The public door: an application load balancer."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract, naming
from infra.components.alarm import Alarm
from infra.components.storage import Storage, StorageArgs
from infra.foundation import LoadBalancerFacts, NetworkFacts
from infra.settings import Settings

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""TLS 1.3, and 1.2 with forward secrecy and AEAD ciphers alone: of AWS's lists one that passes ELB.17."""
TO_HTTPS: aws.lb.ListenerDefaultActionArgsDict = {
    "type": "redirect",
    "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"},
}
NO_SUCH_SERVICE: aws.lb.ListenerDefaultActionArgsDict = {
    "type": "fixed-response",
    "fixed_response": {"content_type": "text/plain", "message_body": "no such service", "status_code": "404"},
}


@dataclass(frozen=True)
class LoadBalancerArgs:
    """Inputs of `LoadBalancer`."""

    network: NetworkFacts
    access_log_days: int = 30
    """How long its log of requests is kept (ELB.5)."""
    domain: str = ""
    certificate_arn: pulumi.Input[str] | None = None
    """With one it speaks TLS, and HTTP is only a way to get there."""
    deletion_protection: bool = False
    """ELB.6."""

    @classmethod
    def of(
        cls, settings: Settings, *, network: NetworkFacts, certificate_arn: pulumi.Input[str] | None
    ) -> LoadBalancerArgs:
        """As a stack's settings have it."""
        return cls(
            network=network,
            access_log_days=settings.log_retention_days,
            domain=settings.domain,
            certificate_arn=certificate_arn,
            deletion_protection=settings.protect,
        )


class LoadBalancer(pulumi.ComponentResource):
    """An internet-facing load balancer with its security group, its listeners and the bucket of its access logs.

    With a certificate it listens on 443 and redirects 80 there; without one it listens on 80. What no rule matches
    gets a 404 from the load balancer itself; services add rules. Costs about 16 USD a month and 0.008 USD a capacity
    unit and hour.
    """

    arn: pulumi.Output[str]
    facts: LoadBalancerFacts
    alarms: list[Alarm]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:loadbalancer:LoadBalancer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-lb",
            description="The load balancer: reached from the internet, reaches the services",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        ports = {"http": 80} | ({"https": 443} if args.certificate_arn else {})
        for protocol, port in ports.items():
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-lb-{protocol}",
                security_group_id=group.id,
                description=f"{protocol.upper()} from the internet",
                cidr_ipv4="0.0.0.0/0",
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=child,
            )
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        logs = Storage(
            f"{name}-access-logs",
            StorageArgs(args.access_log_days, not args.deletion_protection, access_log_account=account),
            opts=child,
        )
        balancer = aws.lb.LoadBalancer(
            naming.short(f"{name}-lb"),
            load_balancer_type="application",
            internal=False,
            subnets=args.network.public_subnet_ids,
            security_groups=[group.id],
            idle_timeout=contract.IDLE_TIMEOUT_SECONDS,
            # ELB.4 and .12: what is not HTTP is dropped, and a request cannot be smuggled behind another.
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.deletion_protection,
            access_logs={"bucket": logs.bucket, "enabled": True},
            # AWS writes a test object when the logs are switched on: the bucket must let it by then.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[logs.policy, *args.network.ready]),
        )
        listener = self._listeners(name, args, balancer)
        self.arn = balancer.arn
        self.facts = LoadBalancerFacts(
            listener_arn=listener.arn,
            security_group_id=group.id,
            arn_suffix=balancer.arn_suffix,
            dns_name=balancer.dns_name,
            zone_id=balancer.zone_id,
            url=(
                f"https://{args.domain}/"
                if args.certificate_arn
                else pulumi.Output.format("http://{0}/", balancer.dns_name)
            ),
        )
        self.alarms = [
            Alarm(
                "load-balancer-errors",
                "The load balancer itself answers with 5xx: no task is there to answer, or it closes connections",
                "AWS/ApplicationELB",
                "HTTPCode_ELB_5XX_Count",
                {"LoadBalancer": balancer.arn_suffix},
                statistic="Sum",
                over=10,
            )
        ]
        self.register_outputs({"url": self.facts.url})

    def _listeners(self, name: str, args: LoadBalancerArgs, balancer: aws.lb.LoadBalancer) -> aws.lb.Listener:
        """The listener that services add their rules to."""
        child = pulumi.ResourceOptions(parent=self)
        http = aws.lb.Listener(
            f"{name}-http",
            load_balancer_arn=balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[TO_HTTPS if args.certificate_arn else NO_SUCH_SERVICE],
            opts=child,
        )
        if not args.certificate_arn:
            return http
        return aws.lb.Listener(
            f"{name}-https",
            load_balancer_arn=balancer.arn,
            port=443,
            protocol="HTTPS",
            certificate_arn=args.certificate_arn,
            ssl_policy=TLS_POLICY,
            default_actions=[NO_SUCH_SERVICE],
            opts=child,
        )
