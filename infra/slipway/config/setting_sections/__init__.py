"""The settings of a stack, one module for each topic: name, type, default, description and allowed values."""

from __future__ import annotations

from typing import Literal, get_origin

from slipway.config.setting_sections.base import SettingSection
from slipway.config.setting_sections.data_stores import BucketSettings, CacheSettings, DatabaseSettings
from slipway.config.setting_sections.monitoring import MonitoringSettings
from slipway.config.setting_sections.network import DomainSettings, NetworkSettings
from slipway.config.setting_sections.off_hours import OffHoursSettings
from slipway.config.setting_sections.pipeline import PipelineSettings
from slipway.config.setting_sections.previews import PreviewSettings
from slipway.config.setting_sections.release import ImageSettings, ReleaseSettings
from slipway.config.setting_sections.stack import StackSettings


class AllSettings(
    StackSettings,
    NetworkSettings,
    DomainSettings,
    ImageSettings,
    DatabaseSettings,
    CacheSettings,
    BucketSettings,
    ReleaseSettings,
    MonitoringSettings,
    OffHoursSettings,
    PipelineSettings,
    PreviewSettings,
):
    """The settings of all sections, in the order of docs/reference/settings.md."""


SECTIONS: tuple[type[SettingSection], ...] = AllSettings.__bases__

ENVIRONMENT_KEY = "environment"
SECRETS_KEY = "secrets"
"""The setting with the app's secret values. Only the stack's key decrypts them, so `Settings` does not have it."""
SECRETS_DESCRIPTION = (
    "Values of the secret variables that stacks/app.yaml names: `pulumi config set --secret --path 'secrets.NAME'`."
)


def _list_text_keys() -> frozenset[str]:
    return frozenset(
        field.alias or name
        for section in SECTIONS
        for name, field in section.model_fields.items()
        if field.annotation is str or get_origin(field.annotation) is Literal
    )


TEXT_KEYS = _list_text_keys()
"""Settings whose values are text, as they are written in the file."""

SETTING_KEYS = frozenset(
    [*(field.alias or name for section in SECTIONS for name, field in section.model_fields.items()), SECRETS_KEY]
)
"""All settings, as YAML has them."""
