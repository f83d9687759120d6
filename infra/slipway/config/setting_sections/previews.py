"""Settings of previews: which an environment allows, and those of one preview."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.config import constants
from slipway.config.setting_sections.base import SettingSection
from slipway.config.setting_sections.network import DOMAIN_PATTERN


class PreviewSettings(SettingSection):
    """Previews"""

    previews: bool = False
    """Whether previews may run on this environment. It then has their roles, and the task that creates their
    databases."""
    preview_domain: Annotated[str, Field(pattern=DOMAIN_PATTERN, max_length=62)] = (
        ""  # and `*.` before it, in a certificate
    )
    """The domain below which previews get their names: pr-42.preview.example.com for preview.example.com, with TLS.
    Neither domain itself nor above or below it. Empty: HTTP at the load balancer's own name."""
    preview_data: Literal["empty", "template"] = "empty"
    """What a preview's database begins with: empty, or template, a copy of a database that the environment migrates
    and fills by previewSeed of stacks/app.yaml. A preview may set empty again."""
    preview_database_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """The port that previews may reach on the internet, for external databases: 5432. 0: none."""
    preview_limit: Annotated[int, Field(ge=1, le=90)] = 5
    """Largest number of previews. Each takes 4 database connections, and one of the load balancer's 100 target
    groups."""
    base: str = ""
    """Of a preview: the environment that it runs on. `slipway preview create` sets it."""
    expires_at: str = ""
    """Of a preview: when `slipway preview reap` may destroy it, for example "2026-01-31T12:00:00+00:00"."""
    rule_priority: Annotated[int, Field(ge=0, lt=constants.UNKNOWN_PREVIEW_RULE_PRIORITY)] = 0
    """Of a preview: the priority of its load balancer rule. 0: derived from its name."""
