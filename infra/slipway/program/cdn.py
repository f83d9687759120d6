"""Creates what an environment's domain leads to: the load balancer with its web ACL, or CloudFront in front of it."""

from __future__ import annotations

import pulumi

from slipway.components.alias_record import AliasRecord
from slipway.components.cdn import Cdn, OriginHeader
from slipway.components.certificate import DnsValidatedCertificate
from slipway.components.cloudfront_web_acl import CLOUDFRONT_REGION, CloudFrontWebAcl
from slipway.components.load_balancer import ApplicationLoadBalancer
from slipway.components.secrets import Secrets
from slipway.components.web_acl import RegionalWebAcl
from slipway.config.constants import APPEND_FORWARDED_FOR, PRESERVE_FORWARDED_FOR
from slipway.program.component_args import edge
from slipway.program.stack_context import StackContext
from slipway.release.forwarded_for import set_forwarded_for_mode_after


def create_public_endpoint(
    context: StackContext,
    certificate: DnsValidatedCertificate | None,
    load_balancer: ApplicationLoadBalancer,
    *,
    secrets: Secrets,
    key_arn: pulumi.Input[str],
) -> OriginHeader | None:
    """Creates the web ACL and the DNS record of `domain`, which leads to the load balancer, or to a distribution.

    Returns the header that the load balancer's rules have to require of CloudFront; None without `cdn`.
    """
    name, settings = context.name, context.settings
    if settings.cdn and certificate:
        return _create_cdn(context, certificate, load_balancer, secrets)
    ready = []
    if settings.hosted_zone_id and settings.domain:
        # It may have led to CloudFront: the load balancer has to take visitors' requests first.
        opts = pulumi.ResourceOptions(depends_on=[load_balancer])
        ready.append(AliasRecord(name, edge.alias_record_args(settings, target=load_balancer.outputs), opts).fqdn)
    if settings.waf:
        RegionalWebAcl(name, edge.web_acl_args(settings, load_balancer_arn=load_balancer.arn, key_arn=key_arn))
    set_forwarded_for_mode_after(load_balancer.arn, APPEND_FORWARDED_FOR, ready)
    return None


def _create_cdn(
    context: StackContext,
    certificate: DnsValidatedCertificate,
    load_balancer: ApplicationLoadBalancer,
    secrets: Secrets,
) -> OriginHeader:
    name, settings = context.name, context.settings
    # During a rotation CloudFront sends the former value until it is retired: a distribution changes for minutes.
    accepted = secrets.create_generated_value("origin-header").accepted_values()
    web_acl = CloudFrontWebAcl(f"{name}-cdn", edge.cloudfront_web_acl_args(settings)) if settings.waf else None
    cdn = Cdn(
        name,
        edge.cdn_args(
            context,
            load_balancer=load_balancer.outputs,
            certificate_arn=_cloudfront_certificate_arn(context, certificate),
            origin_header_value=accepted.apply(lambda values: values[-1]),
            web_acl_arn=web_acl.arn if web_acl else None,
        ),
    )
    pulumi.export("distributionId", cdn.distribution.id)
    alias = AliasRecord(name, edge.alias_record_args(settings, target=cdn.outputs))
    mode = set_forwarded_for_mode_after(load_balancer.arn, PRESERVE_FORWARDED_FOR, [alias.fqdn])
    # The rules change when the mode has: until then visitors may come without the header.
    after_mode = pulumi.Output.all(accepted, mode).apply(lambda resolved: list(resolved[0]))
    return OriginHeader(after_mode, [cdn.distribution, alias.record])


def _cloudfront_certificate_arn(context: StackContext, certificate: DnsValidatedCertificate) -> pulumi.Output[str]:
    """Returns the ARN of a certificate in the region that CloudFront takes one from: the stack's own, or a second one.

    The record that validates the first one validates the second, which has none of its own: two resources of one
    record would delete it twice. AWS renews both by it, so the first one's alarm watches it for both.
    """
    if pulumi.Config("aws").get("region") == CLOUDFRONT_REGION:
        return certificate.arn
    opts = pulumi.ResourceOptions(depends_on=[certificate])
    return DnsValidatedCertificate(
        f"{context.name}-cdn", edge.cloudfront_certificate_args(context.settings), opts=opts
    ).arn
