"""The stack that the program runs for."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.config.settings import Settings


@dataclass(frozen=True)
class StackContext:
    """Name, app and settings of one stack."""

    name: str
    """`<project>-<stack>`, which begins the name of every resource."""
    app: AppSpec
    settings: Settings

    @property
    def deploy_profile(self) -> constants.DeployProfile:
        """Returns the time-outs of its releases, which follow the app's requestTimeout."""
        profile = constants.DEPLOY_PROFILES[self.settings.deploy_profile]
        return profile.for_request_timeout(self.app.request_timeout)

    @property
    def release_timeout_seconds(self) -> int:
        """Returns the time-out of its release task."""
        return self.settings.release_timeout_minutes * 60
