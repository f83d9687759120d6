"""Settings of the CI pipeline's access, and of Pulumi's state."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slipway.config.setting_sections.base import SettingSection

STACK_NAME_PATTERN = r"^([a-z][a-z0-9-]*)?$"
"""A stack's name, which is its GitHub environment's as well; empty for none."""


class PipelineSettings(SettingSection):
    """Pipeline"""

    github_repository: Annotated[str, Field(pattern=r"^([A-Za-z0-9][\w-]*(@\d+)?/[\w.-]+(@\d+)?)?$")] = ""
    """The GitHub repository, owner/name, whose workflows may deploy this environment; owner@ID/name@ID where
    GitHub's OIDC tokens have IDs. Empty: none."""
    github_provider: bool = True
    """Whether this stack creates the account's OIDC provider for GitHub. False where the account has it already."""
    promotes_to: Annotated[str, Field(pattern=STACK_NAME_PATTERN)] = ""
    """The stack whose CI may promote images from this one: prod, in staging."""
    promotes_from: Annotated[str, Field(pattern=STACK_NAME_PATTERN)] = ""
    """The stack whose state this one's CI may read, to promote from it: staging, in prod."""
    state_bucket: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")] = ""
    """The S3 bucket of Pulumi's state, which a deploying workflow must reach. Empty: another backend."""
    state_key: Annotated[str, Field(pattern=r"^(arn:aws:kms:[a-z0-9-]+:\d{12}:key/[\w-]+)?$")] = ""
    """The ARN of the KMS key of Pulumi's state and secrets, which `slipway bootstrap` creates. Empty: another
    secrets provider."""
