"""The wildcard domain of previews: one DNS record, one certificate, one HTTPS listener for all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pulumi
import pulumi_aws as aws

from slipway.components.alias_record import AliasRecord, AliasRecordArgs
from slipway.components.certificate import DnsValidatedCertificate, DnsValidatedCertificateArgs
from slipway.components.cloudwatch_alarm import Alarm
from slipway.components.load_balancer import SERVICE_NOT_FOUND_ACTION, TLS_POLICY
from slipway.components.outputs import LoadBalancerOutputs
from slipway.config import constants

REDIRECT_TO_HTTPS_RULE_ACTION: aws.lb.ListenerRuleActionArgsDict = {
    "type": "redirect",
    "redirect": {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"},
}
PREVIEW_NOT_FOUND_RULE_ACTION: aws.lb.ListenerRuleActionArgsDict = {
    "type": "fixed-response",
    "fixed_response": {"content_type": "text/plain", "message_body": "no such preview", "status_code": "404"},
}


@dataclass(frozen=True)
class PreviewListenerArgs:
    """Inputs of `PreviewListener`."""

    domain: str
    """A preview's host is its stack's name, a dot and this."""
    hosted_zone_id: str
    """Route53 zone of its records."""
    load_balancer: LoadBalancerOutputs
    load_balancer_arn: pulumi.Input[str]
    has_tls: bool
    """Whether the load balancer's listener has a certificate already, for the environment's domain."""


class PreviewListener(pulumi.ComponentResource):
    """Creates a certificate for `*.<domain>`, an alias record to the load balancer and HTTPS. Free.

    Where the load balancer's listener has TLS, the certificate is added to it; otherwise a listener on 443 is created
    and HTTP redirects there. A host name without a preview gets a 404, not the environment's app.
    """

    listener_arn: pulumi.Output[str]
    """Listener that previews add their rules to; known once the certificate is issued."""
    url: str
    """URL of the domain."""
    alarms: list[Alarm]
    """Alarm on the certificate's expiry."""

    def __init__(self, name: str, args: PreviewListenerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:previews:PreviewListener", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        wildcard = f"*.{args.domain}"
        certificate = DnsValidatedCertificate(
            f"{name}-previews", DnsValidatedCertificateArgs(wildcard, args.hosted_zone_id), child
        )
        AliasRecord(f"{name}-previews", AliasRecordArgs(wildcard, args.hosted_zone_id, args.load_balancer), child)
        if args.has_tls:
            self.listener_arn = self._add_certificate(f"{name}-previews", args, certificate.arn)
        else:
            self.listener_arn = self._create_listener(f"{name}-previews", args, certificate.arn)
        self.url = f"https://{args.domain}/"
        self.alarms = [replace(alarm, name=f"previews-{alarm.name}") for alarm in certificate.alarms]
        self.register_outputs({})

    def _add_certificate(
        self, name: str, args: PreviewListenerArgs, certificate_arn: pulumi.Output[str]
    ) -> pulumi.Output[str]:
        listener_certificate = aws.lb.ListenerCertificate(
            name,
            listener_arn=args.load_balancer.listener_arn,
            certificate_arn=certificate_arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._create_rule(name, args, PREVIEW_NOT_FOUND_RULE_ACTION)
        return listener_certificate.listener_arn

    def _create_listener(
        self, name: str, args: PreviewListenerArgs, certificate_arn: pulumi.Output[str]
    ) -> pulumi.Output[str]:
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
        self._create_rule(name, args, REDIRECT_TO_HTTPS_RULE_ACTION)
        listener = aws.lb.Listener(
            f"{name}-https",
            load_balancer_arn=args.load_balancer_arn,
            port=443,
            protocol="HTTPS",
            certificate_arn=certificate_arn,
            ssl_policy=TLS_POLICY,
            default_actions=[SERVICE_NOT_FOUND_ACTION],
            opts=child,
        )
        return listener.arn

    def _create_rule(self, name: str, args: PreviewListenerArgs, action: aws.lb.ListenerRuleActionArgsDict) -> None:
        """Adds a rule to the environment's listener: after those of previews, before the environment's."""
        aws.lb.ListenerRule(
            name,
            listener_arn=args.load_balancer.listener_arn,
            priority=constants.UNKNOWN_PREVIEW_RULE_PRIORITY,
            conditions=[{"host_header": {"values": [f"*.{args.domain}"]}}],
            actions=[action],
            opts=pulumi.ResourceOptions(parent=self),
        )
