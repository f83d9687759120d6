"""The secret variables of stacks/app.yaml, whose values are set with `pulumi config set --secret`."""

from __future__ import annotations

from collections.abc import Collection

from slipway.config.app_spec.app import AppSpec
from slipway.config.errors import SlipwayError


def check_configured_secrets(app: AppSpec, configured: Collection[str]) -> None:
    """Compares the secrets of app.yaml with the stack's configured ones.

    Raises:
        SlipwayError: A required one is missing, or the stack has one that app.yaml does not name.
    """
    missing = app.missing_secrets(configured)
    if missing:
        raise SlipwayError(
            f"stacks/app.yaml requires the secret {', '.join(missing)}, which is not configured in the stack.",
            f"pulumi config set --secret --path 'secrets.{missing[0]}' VALUE",
        )
    unknown = [name for name in configured if name not in app.secrets]
    if unknown:
        raise SlipwayError(
            f"The stack has the secret {', '.join(unknown)}, which stacks/app.yaml does not name.",
            f"Add it there under secrets, or: pulumi config rm --path 'secrets.{unknown[0]}'",
        )
