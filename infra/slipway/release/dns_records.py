"""Waits for DNS records that a person creates outside of this program: a domain whose DNS is not in Route 53.

A certificate is validated in two steps: AWS names a record, and issues the certificate when it finds it. AWS's own
status is asked, for what a resolver here sees is not what AWS sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from slipway.config.errors import SlipwayError
from slipway.release.aws_session import AwsSession, open_stack_aws_session
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.pre_deploy_hooks import before_change_hooks
from slipway.release.progress import ProgressReporter, create_progress_reporter

RECORD_WAIT_SECONDS = 600.0
"""How long an update waits for a record. The next `up` waits again: nothing is lost."""
POLL_SECONDS = 10.0


@dataclass(frozen=True)
class MissingRecord:
    """A DNS record that AWS has not found yet."""

    type: str
    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}  {self.type}  {self.value}"


def certificate_record_hook(name: str, domain: str) -> pulumi.ResourceHookBinding:
    """Hooks for a certificate's validation: print the record that is missing, and wait until AWS has found it."""
    aws = open_stack_aws_session()

    async def wait(args: pulumi.ResourceHookArgs) -> None:
        arn = str((args.new_inputs or {}).get("certificateArn") or "")
        await asyncio.to_thread(wait_for_certificate, aws, arn, domain, create_progress_reporter())

    return before_change_hooks(f"{name}-certificate-record", wait, on_dry_run=False)


def wait_for_certificate(
    aws: AwsSession, arn: str, domain: str, say: ProgressReporter, clock: Clock = SYSTEM_CLOCK
) -> None:
    """Return when the certificate is issued. Raises `SlipwayError` that names the missing records, or AWS's refusal."""
    deadline = clock.now() + RECORD_WAIT_SECONDS
    was_said: Sequence[MissingRecord] = ()
    while True:
        certificate = aws.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
        status = certificate["Status"]
        if status == "ISSUED":
            return
        if status != "PENDING_VALIDATION":
            reason = certificate.get("FailureReason") or status
            raise SlipwayError(
                f"AWS does not issue the certificate of {domain}: {reason}.",
                "Fix it at the domain's DNS (a CAA record must allow amazon.com), delete the certificate, run `up`.",
                where=f"certificate {arn}",
                why=str(reason),
            )
        missing = find_missing_records(certificate)
        if missing and missing != was_said:
            say(f"Create at the DNS of {domain}, and keep it: AWS renews the certificate by it.")
            for record in missing:
                say(f"  {record}")
            say(f"Waiting up to {RECORD_WAIT_SECONDS / 60:.0f} min for AWS to find it.")
            was_said = missing
        if clock.now() > deadline:
            records = "; ".join(map(str, missing)) or "none that AWS names"
            raise SlipwayError(
                f"AWS has not found the DNS record that proves {domain}, after {RECORD_WAIT_SECONDS / 60:.0f} min. "
                f"Missing: {records}.",
                "Create it at the domain's DNS, and run `up` again: it continues from here.",
                where=f"DNS of {domain}",
                why=records,
            )
        clock.sleep(POLL_SECONDS)


def find_missing_records(certificate: Any) -> list[MissingRecord]:
    """The validation records that AWS has not found."""
    return [
        MissingRecord(record["Type"], record["Name"].rstrip("."), record["Value"].rstrip("."))
        for option in certificate.get("DomainValidationOptions", [])
        if option.get("ValidationStatus") != "SUCCESS" and (record := option.get("ResourceRecord"))
    ]
