"""The certificate of the app's domain."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.components.alarm import Alarm
from infra.settings import Settings

DAYS_LEFT = 30
"""AWS renews 60 days before the end: half of that time has gone without it."""


@dataclass(frozen=True)
class CertificateArgs:
    """Inputs of `Certificate`."""

    domain: str
    hosted_zone_id: str
    """The Route53 zone that proves whose domain it is."""

    @classmethod
    def of(cls, settings: Settings) -> CertificateArgs:
        """As a stack's settings have it."""
        return cls(settings.domain, settings.hosted_zone_id)


class Certificate(pulumi.ComponentResource):
    """An ACM certificate that is proved by a DNS record, and so renewed by AWS without anybody. Free.

    Its `arn` is known once the certificate is issued, in a minute or two; when the zone is not the one that the world
    asks, it is never issued: the update then fails after ten minutes, naming the record that nobody can see.
    """

    arn: pulumi.Output[str]
    alarms: list[Alarm]

    def __init__(self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:certificate:Certificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        certificate = aws.acm.Certificate(
            f"{name}-certificate", domain_name=args.domain, validation_method="DNS", opts=child
        )
        # One name, one record: known to be one before AWS has said which.
        proof = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{name}-certificate",
            zone_id=args.hosted_zone_id,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=300,  # seconds
            # The same record proves the domain to every certificate of the account.
            allow_overwrite=True,
            opts=child,
        )
        issued = aws.acm.CertificateValidation(
            f"{name}-certificate",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="10m")),
        )
        self.arn = issued.certificate_arn
        self.alarms = [
            Alarm(
                "certificate",
                f"The certificate ends in less than {DAYS_LEFT} days and AWS has not renewed it: is its record still "
                "in the zone, and the zone the one that the world asks?",
                "AWS/CertificateManager",
                "DaysToExpiry",
                {"CertificateArn": certificate.arn},
                statistic="Minimum",
                under=DAYS_LEFT,
                minutes=1,
                period_seconds=86400,  # ACM tells it twice a day
            )
        ]
        self.register_outputs({"arn": self.arn})
