"""A TLS certificate of a domain."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.cloudwatch_alarm import Alarm

EXPIRY_ALARM_DAYS = 30
"""Days before expiry. AWS renews 60 days before it: half of that time has passed without a renewal."""


@dataclass(frozen=True)
class DnsValidatedCertificateArgs:
    """Inputs of `DnsValidatedCertificate`."""

    domain: str
    hosted_zone_id: str
    """Route53 zone of the validation record; empty where it is created elsewhere."""
    hooks: pulumi.ResourceHookBinding | None = None
    """Hooks that run before the wait for the certificate."""
    region: str | None = None
    """Region of the certificate; None: the stack's."""


class DnsValidatedCertificate(pulumi.ComponentResource):
    """Creates an ACM certificate with DNS validation, which AWS renews. Free.

    Its `arn` is known once the certificate is issued, in a minute or two. Where the zone is not the one that public DNS
    delegates to, it is never issued: the update fails after ten minutes and names the record.
    """

    arn: pulumi.Output[str]
    validation_record: dict[str, pulumi.Output[str]]
    """`type`, `name` and `value` of the DNS record that AWS looks for."""
    alarms: list[Alarm]

    def __init__(
        self, name: str, args: DnsValidatedCertificateArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("slipway:acm:DnsValidatedCertificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        certificate = aws.acm.Certificate(
            f"{name}-certificate", domain_name=args.domain, validation_method="DNS", region=args.region, opts=child
        )
        # One domain name has one validation option: no need to wait for AWS to say how many.
        validation = certificate.domain_validation_options[0]
        fqdns: list[pulumi.Input[str]] | None = None
        if args.hosted_zone_id:
            record = aws.route53.Record(
                f"{name}-certificate",
                zone_id=args.hosted_zone_id,
                name=validation.resource_record_name,
                type=validation.resource_record_type,
                records=[validation.resource_record_value],
                ttl=300,  # seconds
                # Every certificate of the account for this domain has the same record.
                allow_overwrite=True,
                opts=child,
            )
            fqdns = [record.fqdn]
        issued = aws.acm.CertificateValidation(
            f"{name}-certificate",
            certificate_arn=certificate.arn,
            validation_record_fqdns=fqdns,
            region=args.region,
            opts=pulumi.ResourceOptions(
                parent=self, custom_timeouts=pulumi.CustomTimeouts(create="10m"), hooks=args.hooks
            ),
        )
        self.arn = issued.certificate_arn
        self.validation_record = {
            "type": validation.resource_record_type,
            "name": validation.resource_record_name,
            "value": validation.resource_record_value,
        }
        self.alarms = [
            Alarm(
                "certificate",
                f"The certificate expires in less than {EXPIRY_ALARM_DAYS} days and AWS has not renewed it: is its "
                "validation record still in the zone, and is public DNS delegated to that zone?",
                "AWS/CertificateManager",
                "DaysToExpiry",
                {"CertificateArn": certificate.arn},
                statistic="Minimum",
                less_than=EXPIRY_ALARM_DAYS,
                evaluation_periods=1,
                period_seconds=86400,  # ACM reports it twice a day
            )
        ]
        self.register_outputs({"arn": self.arn})
