"""The public door: an application load balancer."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.network import Network


@dataclass(frozen=True)
class LoadBalancerArgs:
    """Inputs of `LoadBalancer`."""

    network: Network
    deletion_protection: bool = False
    """ELB.6."""


class LoadBalancer(pulumi.ComponentResource):
    """An internet-facing load balancer with its security group and listener.

    Without a certificate it listens on 80. What no rule matches gets a 404 from the load balancer itself;
    services add rules. Costs about 16 USD a month and 0.008 USD a capacity unit and hour.
    """

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]
    listener_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    arn_suffix: pulumi.Output[str]
    url: pulumi.Output[str]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:loadbalancer:LoadBalancer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-lb",
            description="The load balancer: reached from the internet, reaches the services",
            vpc_id=args.network.vpc_id,
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-lb-http",
            security_group_id=group.id,
            description="HTTP from the internet",
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=80,
            to_port=80,
            opts=child,
        )
        balancer = aws.lb.LoadBalancer(
            f"{name}-lb",
            load_balancer_type="application",
            internal=False,
            subnets=args.network.public_subnet_ids,
            security_groups=[group.id],
            idle_timeout=contract.IDLE_TIMEOUT_SECONDS,
            # ELB.4 and .12: what is not HTTP is dropped, and a request cannot be smuggled behind another.
            drop_invalid_header_fields=True,
            desync_mitigation_mode="defensive",
            enable_deletion_protection=args.deletion_protection,
            opts=child,
        )
        listener = aws.lb.Listener(
            f"{name}-http",
            load_balancer_arn=balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[
                {
                    "type": "fixed-response",
                    "fixed_response": {
                        "content_type": "text/plain",
                        "message_body": "no such service",
                        "status_code": "404",
                    },
                }
            ],
            opts=child,
        )
        self.arn = balancer.arn
        self.dns_name = balancer.dns_name
        self.zone_id = balancer.zone_id
        self.arn_suffix = balancer.arn_suffix
        self.listener_arn = listener.arn
        self.security_group_id = group.id
        self.url = pulumi.Output.format("http://{0}/", balancer.dns_name)
        self.register_outputs({"url": self.url})
