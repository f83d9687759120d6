"""ACM: certificates, and the wait until one is issued."""

from __future__ import annotations

from typing import Any

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    UnsupportedOperation,
    property_names,
    tag_list,
    tag_map,
)

VALIDATION_TIMEOUT_SECONDS = 60


class CertificateResource(ResourceType):
    """The local one is a name only: no key pair stands behind it, and it is issued at once."""

    type_name = "aws:acm/certificate:Certificate"
    inputs = property_names("domainName validationMethod keyAlgorithm subjectAlternativeNames region tags tagsAll")
    force_replacement = property_names("domainName validationMethod keyAlgorithm subjectAlternativeNames region")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        optional = {
            "ValidationMethod": inputs.get("validationMethod"),
            "KeyAlgorithm": inputs.get("keyAlgorithm"),
            "SubjectAlternativeNames": inputs.get("subjectAlternativeNames"),
            "Tags": tag_list(inputs),
        }
        arn = aws("acm", inputs.get("region")).request_certificate(
            DomainName=inputs["domainName"], **{key: value for key, value in optional.items() if value}
        )["CertificateArn"]
        return arn, self._outputs(_certificate(aws, arn))

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = _certificate(aws, id)
        if not resource:
            return None
        options = resource.get("DomainValidationOptions") or [{}]
        tags = tag_map(_acm(aws, id).list_tags_for_certificate(CertificateArn=id)["Tags"])
        # The emulator calls every key RSA_2048, so the algorithm cannot be compared.
        return {
            **self._outputs(resource),
            "validationMethod": options[0].get("ValidationMethod"),
            "subjectAlternativeNames": _names(resource, state),
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        before = old.get("tagsAll") or {}
        after = new.get("tagsAll") or {}
        gone = [{"Key": key} for key in before if key not in after]
        if gone:
            _acm(aws, id).remove_tags_from_certificate(CertificateArn=id, Tags=gone)
        if after:
            _acm(aws, id).add_tags_to_certificate(CertificateArn=id, Tags=tag_list(new))
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        _acm(aws, id).delete_certificate(CertificateArn=id)

    def _outputs(self, resource: Any) -> Properties:
        return {
            "arn": resource["CertificateArn"],
            "domainName": resource["DomainName"],
            "status": resource["Status"],
            "domainValidationOptions": [
                {
                    "domainName": option["DomainName"],
                    "resourceRecordName": option["ResourceRecord"]["Name"],
                    "resourceRecordType": option["ResourceRecord"]["Type"],
                    "resourceRecordValue": option["ResourceRecord"]["Value"],
                }
                for option in resource.get("DomainValidationOptions", [])
                if "ResourceRecord" in option
            ],
        }


class CertificateValidationResource(ResourceType):
    """Nothing in AWS: it waits until the certificate is issued. Its id is the time of that."""

    type_name = "aws:acm/certificateValidation:CertificateValidation"
    inputs = property_names("certificateArn validationRecordFqdns region")
    force_replacement = inputs

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        arn = inputs["certificateArn"]
        # The emulator issues without a look at the records; one forgotten shows here, as the official provider has it.
        named = {name.rstrip(".") for name in inputs.get("validationRecordFqdns") or []}
        options = (_certificate(aws, arn) or {}).get("DomainValidationOptions", [])
        wanted = {option["ResourceRecord"]["Name"].rstrip(".") for option in options if "ResourceRecord" in option}
        if named and wanted - named:
            raise UnsupportedOperation(f"{arn}: validationRecordFqdns lacks {', '.join(sorted(wanted - named))}")
        aws.wait(lambda: _is_issued(aws, arn), VALIDATION_TIMEOUT_SECONDS, f"the validation of {arn}")
        return str(_certificate(aws, arn)["IssuedAt"]), {}

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        arn = state.get("certificateArn", "")
        return {"certificateArn": arn} if arn and _is_issued(aws, arn) else None

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """Does nothing: there is no resource."""


def _acm(aws: ProviderContext, arn: str) -> Any:
    """Returns a client of the certificate's region."""
    return aws("acm", arn.split(":")[3])


def _certificate(aws: ProviderContext, arn: str) -> Any:
    try:
        return _acm(aws, arn).describe_certificate(CertificateArn=arn)["Certificate"]
    except _acm(aws, arn).exceptions.ResourceNotFoundException:
        return None


def _is_issued(aws: ProviderContext, arn: str) -> bool:
    return bool((_certificate(aws, arn) or {}).get("Status") == "ISSUED")


def _names(resource: Any, state: Properties) -> list[str]:
    """Returns the alternative names; AWS lists the domain's own among them, which the program need not have written."""
    own = resource["DomainName"]
    written = state.get("subjectAlternativeNames") or []
    return [name for name in resource["SubjectAlternativeNames"] if name != own or own in written]
