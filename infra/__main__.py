"""The Pulumi program."""

import slipway

slipway.deploy()
