"""The web ACL (AWS WAF) of the CloudFront distribution in front of the load balancer."""

from __future__ import annotations

import pulumi

from slipway.components.web_acl import WebAclArgs, create_web_acl

CLOUDFRONT_REGION = "us-east-1"
"""Region of what a distribution uses: certificate and web ACL."""


class CloudFrontWebAcl(pulumi.ComponentResource):
    """Creates a web ACL for a distribution (CloudFront.6), which sees visitors' addresses; the load balancer would see
    CloudFront's. It and its log are in us-east-1. Costs as much as a `RegionalWebAcl`.
    """

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: WebAclArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:wafv2:CloudFrontWebAcl", name, None, opts)
        # Its log is encrypted with AWS's own key: the stack's is a key of the stack's region.
        acl = create_web_acl(name, args, scope="CLOUDFRONT", region=CLOUDFRONT_REGION, key_arn=None, parent=self)
        self.arn = acl.arn
        self.register_outputs({})
