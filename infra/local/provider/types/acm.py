"""ACM: certificates, and the wait until one is issued."""

from __future__ import annotations

from typing import Any

from infra.local.provider.kind import Context, Kind, Properties, Refused, set_of, tag_list, tag_map

VALIDATION_SECONDS = 60


class Certificate(Kind):
    """The local one is a name only: no key pair stands behind it, and it is issued at once."""

    type_name = "aws:acm/certificate:Certificate"
    inputs = set_of("domainName validationMethod keyAlgorithm subjectAlternativeNames tags tagsAll")
    replace = set_of("domainName validationMethod keyAlgorithm subjectAlternativeNames")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        optional = {
            "ValidationMethod": given.get("validationMethod"),
            "KeyAlgorithm": given.get("keyAlgorithm"),
            "SubjectAlternativeNames": given.get("subjectAlternativeNames"),
            "Tags": tag_list(given),
        }
        arn = aws("acm").request_certificate(
            DomainName=given["domainName"], **{key: value for key, value in optional.items() if value}
        )["CertificateArn"]
        return arn, self._outputs(_certificate(aws, arn))

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = _certificate(aws, id)
        if not found:
            return None
        options = found.get("DomainValidationOptions") or [{}]
        tags = tag_map(aws("acm").list_tags_for_certificate(CertificateArn=id)["Tags"])
        # The emulator calls every key RSA_2048, so the algorithm cannot be compared.
        return {
            **self._outputs(found),
            "validationMethod": options[0].get("ValidationMethod"),
            "subjectAlternativeNames": _names(found, known),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        before, after = old.get("tagsAll") or {}, new.get("tagsAll") or {}
        gone = [{"Key": key} for key in before if key not in after]
        if gone:
            aws("acm").remove_tags_from_certificate(CertificateArn=id, Tags=gone)
        if after:
            aws("acm").add_tags_to_certificate(CertificateArn=id, Tags=tag_list(new))
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("acm").delete_certificate(CertificateArn=id)

    def _outputs(self, found: Any) -> Properties:
        return {
            "arn": found["CertificateArn"],
            "domainName": found["DomainName"],
            "status": found["Status"],
            "domainValidationOptions": [
                {
                    "domainName": option["DomainName"],
                    "resourceRecordName": option["ResourceRecord"]["Name"],
                    "resourceRecordType": option["ResourceRecord"]["Type"],
                    "resourceRecordValue": option["ResourceRecord"]["Value"],
                }
                for option in found.get("DomainValidationOptions", [])
                if "ResourceRecord" in option
            ],
        }


class CertificateValidation(Kind):
    """Nothing in AWS: it waits until the certificate is issued. Its id is the time of that."""

    type_name = "aws:acm/certificateValidation:CertificateValidation"
    inputs = set_of("certificateArn validationRecordFqdns")
    replace = inputs

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        arn = given["certificateArn"]
        # The emulator issues without a look at the records; one forgotten shows here, as the official provider has it.
        named = {name.rstrip(".") for name in given.get("validationRecordFqdns") or []}
        options = (_certificate(aws, arn) or {}).get("DomainValidationOptions", [])
        wanted = {option["ResourceRecord"]["Name"].rstrip(".") for option in options if "ResourceRecord" in option}
        if named and wanted - named:
            raise Refused(f"{arn}: validationRecordFqdns lacks {', '.join(sorted(wanted - named))}")
        aws.wait(lambda: _issued(aws, arn), VALIDATION_SECONDS, f"the validation of {arn}")
        return str(_certificate(aws, arn)["IssuedAt"]), {}

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        arn = known.get("certificateArn", "")
        return {"certificateArn": arn} if arn and _issued(aws, arn) else None

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        """There is nothing to take away."""


def _certificate(aws: Context, arn: str) -> Any:
    try:
        return aws("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    except aws("acm").exceptions.ResourceNotFoundException:
        return None


def _issued(aws: Context, arn: str) -> bool:
    return bool((_certificate(aws, arn) or {}).get("Status") == "ISSUED")


def _names(found: Any, known: Properties) -> list[str]:
    """The alternative names; AWS lists the domain's own among them, which the program need not have written."""
    own, written = found["DomainName"], known.get("subjectAlternativeNames") or []
    return [name for name in found["SubjectAlternativeNames"] if name != own or own in written]
