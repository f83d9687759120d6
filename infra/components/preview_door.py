"""What previews are reached by: one wildcard name, one certificate for all of them, TLS."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import contract
from infra.components.certificate import Certificate, CertificateArgs
from infra.components.dns import Dns, DnsArgs
from infra.components.load_balancer import NO_SUCH_SERVICE, TLS_POLICY
from infra.foundation import LoadBalancerFacts
from infra.settings import Settings

TO_HTTPS: aws.lb.ListenerRuleActionArgsDict = {
    "type": "redirect",
    "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"},
}
NO_SUCH_PREVIEW: aws.lb.ListenerRuleActionArgsDict = {
    "type": "fixed-response",
    "fixed_response": {"content_type": "text/plain", "message_body": "no such preview", "status_code": "404"},
}


@dataclass(frozen=True)
class PreviewDoorArgs:
    """Inputs of `PreviewDoor`."""

    domain: str
    """What follows a preview's name and a dot."""
    hosted_zone_id: str
    """The Route53 zone that its records go into."""
    load_balancer: LoadBalancerFacts
    load_balancer_arn: pulumi.Input[str]
    speaks_tls: bool
    """Whether the load balancer's listener has a certificate already: that of the environment's own domain."""

    @classmethod
    def of(
        cls, settings: Settings, *, load_balancer: LoadBalancerFacts, load_balancer_arn: pulumi.Input[str]
    ) -> PreviewDoorArgs:
        """As a stack's settings have it."""
        zone, speaks_tls = settings.hosted_zone_id, bool(settings.domain)
        return cls(settings.preview_domain, zone, load_balancer, load_balancer_arn, speaks_tls)


class PreviewDoor(pulumi.ComponentResource):
    """`*.<domain>`: a certificate proved by DNS, an alias record to the load balancer, a listener with TLS. Free.

    Where the load balancer speaks TLS the certificate is added to its listener; where it does not, the certificate is
    that of a listener of its own on 443, and HTTP leads there. A name that no preview has gets a 404, not the
    environment's app.
    """

    listener_arn: pulumi.Output[str]
    """Where previews' rules go; known once the certificate is issued."""
    url: str
    """With the scheme."""

    def __init__(self, name: str, args: PreviewDoorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:previews:PreviewDoor", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        wildcard = f"*.{args.domain}"
        certificate = Certificate(f"{name}-previews", CertificateArgs(wildcard, args.hosted_zone_id), child)
        Dns(f"{name}-previews", DnsArgs(wildcard, args.hosted_zone_id, args.load_balancer), child)
        add = self._to_the_listener if args.speaks_tls else self._listen
        self.listener_arn = add(f"{name}-previews", args, certificate.arn)
        self.url = f"https://{args.domain}/"
        self.register_outputs({})

    def _to_the_listener(self, name: str, args: PreviewDoorArgs, certificate: pulumi.Output[str]) -> pulumi.Output[str]:
        added = aws.lb.ListenerCertificate(
            name,
            listener_arn=args.load_balancer.listener_arn,
            certificate_arn=certificate,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._rule(name, args, NO_SUCH_PREVIEW)
        return added.listener_arn

    def _listen(self, name: str, args: PreviewDoorArgs, certificate: pulumi.Output[str]) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-https",
            security_group_id=args.load_balancer.security_group_id,
            description="HTTPS to previews from the internet",
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=child,
        )
        self._rule(name, args, TO_HTTPS)
        listener = aws.lb.Listener(
            f"{name}-https",
            load_balancer_arn=args.load_balancer_arn,
            port=443,
            protocol="HTTPS",
            certificate_arn=certificate,
            ssl_policy=TLS_POLICY,
            default_actions=[NO_SUCH_SERVICE],
            opts=child,
        )
        return listener.arn

    def _rule(self, name: str, args: PreviewDoorArgs, action: aws.lb.ListenerRuleActionArgsDict) -> None:
        """After the previews' own and before the environment's: on the listener that serves the environment."""
        aws.lb.ListenerRule(
            name,
            listener_arn=args.load_balancer.listener_arn,
            priority=contract.NO_PREVIEW_PRIORITY,
            conditions=[{"host_header": {"values": [f"*.{args.domain}"]}}],
            actions=[action],
            opts=pulumi.ResourceOptions(parent=self),
        )
