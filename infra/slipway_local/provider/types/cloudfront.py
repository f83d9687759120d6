"""CloudFront: distributions. ministack keeps them; nothing answers at their addresses."""

from __future__ import annotations

import uuid
from typing import Any

from slipway_local.provider.resource_type import (
    Properties,
    ProviderContext,
    ResourceType,
    property_names,
    tag_list,
    tag_map,
)

HOSTED_ZONE_ID = "Z2FDTNDATAQYW2"
"""Route 53's zone of every distribution, for alias records."""


class DistributionResource(ResourceType):
    type_name = "aws:cloudfront/distribution:Distribution"
    inputs = property_names(
        "aliases comment enabled httpVersion isIpv6Enabled origins defaultCacheBehavior orderedCacheBehaviors",
        "customErrorResponses restrictions viewerCertificate webAclId tags tagsAll",
    )

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        config = {"CallerReference": str(uuid.uuid4()), **distribution_config(inputs)}
        created = aws("cloudfront").create_distribution_with_tags(
            DistributionConfigWithTags={"DistributionConfig": config, "Tags": {"Items": tag_list(inputs)}}
        )["Distribution"]
        return created["Id"], _outputs(created)

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        try:
            resource = aws("cloudfront").get_distribution(Id=id)["Distribution"]
        except aws("cloudfront").exceptions.NoSuchDistribution:
            return None
        config = resource["DistributionConfig"]
        tags = tag_map(aws("cloudfront").list_tags_for_resource(Resource=resource["ARN"])["Tags"].get("Items"))
        return {
            **_outputs(resource),
            "aliases": config.get("Aliases", {}).get("Items", []),
            "comment": config["Comment"],
            "enabled": config["Enabled"],
            "tags": tags,
            "tagsAll": tags,
        }

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        current = aws("cloudfront").get_distribution_config(Id=id)
        reference = current["DistributionConfig"]["CallerReference"]
        changed = aws("cloudfront").update_distribution(
            Id=id,
            IfMatch=current["ETag"],
            DistributionConfig={"CallerReference": reference, **distribution_config(new)},
        )["Distribution"]
        before = old.get("tagsAll") or {}
        after = new.get("tagsAll") or {}
        gone = [key for key in before if key not in after]
        if gone:
            aws("cloudfront").untag_resource(Resource=changed["ARN"], TagKeys={"Items": gone})
        if after:
            aws("cloudfront").tag_resource(Resource=changed["ARN"], Tags={"Items": tag_list(new)})
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        """Disables it first: AWS deletes no distribution that is enabled."""
        current = aws("cloudfront").get_distribution_config(Id=id)
        etag = aws("cloudfront").update_distribution(
            Id=id, IfMatch=current["ETag"], DistributionConfig={**current["DistributionConfig"], "Enabled": False}
        )["ETag"]
        aws("cloudfront").delete_distribution(Id=id, IfMatch=etag)


def _outputs(resource: Any) -> Properties:
    return {"arn": resource["ARN"], "domainName": resource["DomainName"], "hostedZoneId": HOSTED_ZONE_ID}


def _list(items: list[Any]) -> dict[str, Any]:
    """Returns a list as this API writes it."""
    return {"Quantity": len(items), "Items": items} if items else {"Quantity": 0}


def distribution_config(inputs: Properties) -> dict[str, Any]:
    """Returns the inputs as CloudFront's API takes them, without the caller's reference."""
    certificate = inputs["viewerCertificate"]
    return {
        "Comment": inputs["comment"],
        "Enabled": inputs["enabled"],
        "Aliases": _list(inputs["aliases"]),
        "HttpVersion": inputs["httpVersion"],
        "IsIPV6Enabled": inputs["isIpv6Enabled"],
        "Origins": _list([_origin(origin) for origin in inputs["origins"]]),
        "DefaultCacheBehavior": _behavior(inputs["defaultCacheBehavior"]),
        "CacheBehaviors": _list(
            [
                {"PathPattern": behavior["pathPattern"], **_behavior(behavior)}
                for behavior in inputs.get("orderedCacheBehaviors") or []
            ]
        ),
        "CustomErrorResponses": _list(
            [
                {"ErrorCode": int(error["errorCode"]), "ErrorCachingMinTTL": int(error["errorCachingMinTtl"])}
                for error in inputs.get("customErrorResponses") or []
            ]
        ),
        "Restrictions": {
            "GeoRestriction": {
                "RestrictionType": inputs["restrictions"]["geoRestriction"]["restrictionType"],
                "Quantity": 0,
            }
        },
        "ViewerCertificate": {
            "ACMCertificateArn": certificate["acmCertificateArn"],
            "SSLSupportMethod": certificate["sslSupportMethod"],
            "MinimumProtocolVersion": certificate["minimumProtocolVersion"],
        },
        "WebACLId": inputs.get("webAclId") or "",
    }


def _origin(inputs: Properties) -> dict[str, Any]:
    custom = inputs["customOriginConfig"]
    headers = [{"HeaderName": header["name"], "HeaderValue": header["value"]} for header in inputs["customHeaders"]]
    return {
        "Id": inputs["originId"],
        "DomainName": inputs["domainName"],
        "CustomHeaders": _list(headers),
        "CustomOriginConfig": {
            "HTTPPort": int(custom["httpPort"]),
            "HTTPSPort": int(custom["httpsPort"]),
            "OriginProtocolPolicy": custom["originProtocolPolicy"],
            "OriginSslProtocols": _list(custom["originSslProtocols"]),
            "OriginReadTimeout": int(custom["originReadTimeout"]),
            "OriginKeepaliveTimeout": int(custom["originKeepaliveTimeout"]),
        },
    }


def _behavior(inputs: Properties) -> dict[str, Any]:
    return {
        "TargetOriginId": inputs["targetOriginId"],
        "ViewerProtocolPolicy": inputs["viewerProtocolPolicy"],
        "AllowedMethods": {**_list(inputs["allowedMethods"]), "CachedMethods": _list(inputs["cachedMethods"])},
        "Compress": inputs["compress"],
        "CachePolicyId": inputs["cachePolicyId"],
        "OriginRequestPolicyId": inputs["originRequestPolicyId"],
    }
