"""The CloudFront distribution in front of the load balancer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

ORIGIN_HEADER = "X-Origin-Verify"
"""Header with a secret that CloudFront adds, and overwrites where a visitor sends it. AWS's list of CloudFront's
addresses alone is not enough: every AWS customer's distributions have them.
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/restrict-access-to-load-balancer.html"""
ORIGIN_ID = "load-balancer"
KEEPALIVE_SECONDS = 5
"""CloudFront's own default: it closes idle connections long before the load balancer does."""
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
"""Follows Cache-Control; without one it caches for a day. No header, cookie or query string is part of the key."""
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
"""Every header, cookie and query string of the visitor reaches the app."""
HOST_HEADER_ONLY = "bf0718e1-ba1e-49d1-88b1-f726733018ae"
"""The Host alone, which the load balancer's certificate is compared with: no cookie and no Authorization."""
ALL_METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
CACHED_METHODS = ["GET", "HEAD"]
CACHED_ERRORS = (400, 403, 404, 405, 414, 500, 501, 502, 503, 504)
"""Status codes that CloudFront would keep for 10 seconds, also where caching is disabled: one visitor's 403 would be
the next one's answer.
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html"""


@dataclass(frozen=True)
class OriginHeader:
    """What a request must have for the load balancer to forward it: `ORIGIN_HEADER` with one of these values."""

    accepted: pulumi.Input[Sequence[str]]
    """The current value, and during a rotation the former one."""
    ready: Sequence[pulumi.Resource]
    """Distribution and DNS record: before them visitors still come without the header."""

    @property
    def condition(self) -> aws.lb.ListenerRuleConditionArgsDict:
        """Returns the condition of a listener rule."""
        return {"http_header": {"http_header_name": ORIGIN_HEADER, "values": self.accepted}}


@dataclass(frozen=True)
class DistributionOutputs:
    """Where a DNS record of the distribution points to."""

    dns_name: pulumi.Input[str]
    zone_id: pulumi.Input[str]


@dataclass(frozen=True)
class CdnArgs:
    """Inputs of `Cdn`."""

    domain: str
    certificate_arn: pulumi.Input[str]
    """Certificate of `domain` in us-east-1, the only region that CloudFront takes one from."""
    load_balancer_dns_name: pulumi.Input[str]
    """The load balancer, whose certificate is of `domain` too."""
    origin_header_value: pulumi.Input[str]
    """Secret value of `ORIGIN_HEADER`."""
    response_timeout: int
    """Seconds that CloudFront waits for the load balancer, 1 to 120."""
    static_paths: Sequence[str] = ("/static/*",)
    """Path patterns of what may be cached."""
    web_acl_arn: pulumi.Input[str] | None = None
    """Web ACL of the scope CLOUDFRONT."""


class Cdn(pulumi.ComponentResource):
    """Creates a CloudFront distribution that caches `static_paths` and passes everything else through.

    What has credentials is never cached: outside `static_paths` caching is disabled, inside them neither cookies nor
    Authorization reach the app. Errors are not cached. The connection to the load balancer is HTTPS. There is no log
    of its own: what reaches the app is in the load balancer's access log and the app's. No monthly price; by request
    and by GB (`slipway cost`).
    """

    distribution: aws.cloudfront.Distribution
    outputs: DistributionOutputs

    def __init__(self, name: str, args: CdnArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:cloudfront:Cdn", name, None, opts)
        self.distribution = aws.cloudfront.Distribution(
            f"{name}-cdn",
            enabled=True,
            comment=name,
            aliases=[args.domain],
            http_version="http2and3",
            is_ipv6_enabled=False,  # the domain has an A record, as the load balancer itself would
            origins=[_origin(args)],
            default_cache_behavior={
                "target_origin_id": ORIGIN_ID,
                "viewer_protocol_policy": "redirect-to-https",
                "allowed_methods": ALL_METHODS,
                "cached_methods": CACHED_METHODS,
                "compress": True,
                "cache_policy_id": CACHING_DISABLED,
                "origin_request_policy_id": ALL_VIEWER,
            },
            ordered_cache_behaviors=[_static_behavior(path) for path in args.static_paths],
            custom_error_responses=[{"error_code": code, "error_caching_min_ttl": 0} for code in CACHED_ERRORS],
            restrictions={"geo_restriction": {"restriction_type": "none"}},
            viewer_certificate={
                "acm_certificate_arn": args.certificate_arn,
                "ssl_support_method": "sni-only",
                "minimum_protocol_version": "TLSv1.2_2021",
            },
            web_acl_id=args.web_acl_arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.outputs = DistributionOutputs(self.distribution.domain_name, self.distribution.hosted_zone_id)
        self.register_outputs({"domainName": self.distribution.domain_name})


def _origin(args: CdnArgs) -> aws.cloudfront.DistributionOriginArgsDict:
    return {
        "origin_id": ORIGIN_ID,
        "domain_name": args.load_balancer_dns_name,
        "custom_headers": [{"name": ORIGIN_HEADER, "value": args.origin_header_value}],
        "custom_origin_config": {
            "http_port": 80,
            "https_port": 443,
            # So the load balancer sends the app X-Forwarded-Proto: https, as in the visitor's request.
            "origin_protocol_policy": "https-only",
            "origin_ssl_protocols": ["TLSv1.2"],
            "origin_read_timeout": args.response_timeout,
            "origin_keepalive_timeout": KEEPALIVE_SECONDS,
        },
    }


def _static_behavior(path: str) -> aws.cloudfront.DistributionOrderedCacheBehaviorArgsDict:
    return {
        "path_pattern": path,
        "target_origin_id": ORIGIN_ID,
        "viewer_protocol_policy": "redirect-to-https",
        "allowed_methods": [*CACHED_METHODS, "OPTIONS"],
        "cached_methods": CACHED_METHODS,
        "compress": True,
        "cache_policy_id": CACHING_OPTIMIZED,
        "origin_request_policy_id": HOST_HEADER_ONLY,
    }
