"""Arguments of the certificates, load balancer, distribution, DNS record and web ACL."""

from __future__ import annotations

import pulumi

from slipway.components.alias_record import AliasRecordArgs
from slipway.components.cdn import CdnArgs, DistributionOutputs
from slipway.components.certificate import DnsValidatedCertificateArgs
from slipway.components.cloudfront_web_acl import CLOUDFRONT_REGION
from slipway.components.load_balancer import ANYWHERE, ApplicationLoadBalancerArgs
from slipway.components.outputs import LoadBalancerOutputs, NetworkOutputs
from slipway.components.web_acl import RegionalWebAclArgs, WebAclArgs
from slipway.config import constants
from slipway.config.settings import Settings
from slipway.program.stack_context import StackContext
from slipway.release.dns_records import certificate_record_hook

PRIVATE_CIDRS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918."""


def certificate_args(settings: Settings, name: str) -> DnsValidatedCertificateArgs:
    """Returns the arguments of the certificate for `domain`; with DNS elsewhere `up` waits for its record."""
    hooks = certificate_record_hook(name, settings.domain) if settings.external_dns else None
    return DnsValidatedCertificateArgs(domain=settings.domain, hosted_zone_id=settings.hosted_zone_id, hooks=hooks)


def cloudfront_certificate_args(settings: Settings) -> DnsValidatedCertificateArgs:
    """Returns the arguments of a second certificate for `domain`, for CloudFront; the first one's record is its own."""
    return DnsValidatedCertificateArgs(domain=settings.domain, hosted_zone_id="", region=CLOUDFRONT_REGION)


def load_balancer_args(
    settings: Settings,
    *,
    request_timeout: int,
    network: NetworkOutputs,
    certificate_arn: pulumi.Input[str] | None,
    hooks: pulumi.ResourceHookBinding | None = None,
) -> ApplicationLoadBalancerArgs:
    """Returns the arguments of the load balancer; it has TLS with a certificate. `request_timeout` in seconds."""
    return ApplicationLoadBalancerArgs(
        network=network,
        access_log_retention_days=settings.log_retention_days,
        domain=settings.domain,
        certificate_arn=certificate_arn,
        idle_timeout=request_timeout,
        internal=settings.internal,
        allowed_cidrs=settings.allowed_cidrs or (PRIVATE_CIDRS if settings.internal else (ANYWHERE,)),
        behind_cloudfront=settings.cdn,
        deletion_protection=settings.protect,
        hooks=hooks,
    )


def cdn_args(
    context: StackContext,
    *,
    load_balancer: LoadBalancerOutputs,
    certificate_arn: pulumi.Input[str],
    origin_header_value: pulumi.Input[str],
    web_acl_arn: pulumi.Input[str] | None,
) -> CdnArgs:
    """Returns the arguments of the CloudFront distribution."""
    return CdnArgs(
        domain=context.settings.domain,
        certificate_arn=certificate_arn,
        load_balancer_dns_name=load_balancer.dns_name,
        origin_header_value=origin_header_value,
        response_timeout=context.app.request_timeout + constants.CDN_MARGIN_SECONDS,
        static_paths=context.app.static_paths,
        web_acl_arn=web_acl_arn,
    )


def alias_record_args(settings: Settings, *, target: LoadBalancerOutputs | DistributionOutputs) -> AliasRecordArgs:
    """Returns the arguments of the DNS record of `domain`."""
    return AliasRecordArgs(domain=settings.domain, hosted_zone_id=settings.hosted_zone_id, target=target)


def web_acl_args(
    settings: Settings, *, load_balancer_arn: pulumi.Input[str], key_arn: pulumi.Input[str]
) -> RegionalWebAclArgs:
    """Returns the arguments of the web application firewall."""
    return RegionalWebAclArgs(
        load_balancer_arn=load_balancer_arn,
        key_arn=key_arn,
        rate_limit=settings.waf_rate_limit,
        log_retention_days=settings.log_retention_days,
        count_only_rules=settings.waf_count_only,
    )


def cloudfront_web_acl_args(settings: Settings) -> WebAclArgs:
    """Returns the arguments of the web application firewall of the distribution."""
    return WebAclArgs(
        rate_limit=settings.waf_rate_limit,
        log_retention_days=settings.log_retention_days,
        count_only_rules=settings.waf_count_only,
    )
