"""Arguments of the CI pipeline's roles: each trusts the jobs of one GitHub environment."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from slipway.components.ci_deploy_role import CiDeployRoleArgs
from slipway.components.ci_preview_role import PREVIEW_STACK_PATTERN, CiPreviewRoleArgs
from slipway.components.ci_read_roles import CiReadRolesArgs
from slipway.components.ci_targets import CiTargets
from slipway.components.github_oidc import OidcSubject, StateAccess
from slipway.components.outputs import ClusterOutputs, EnvironmentOutputs
from slipway.config.settings import Settings


def state_access(settings: Settings) -> StateAccess:
    """Returns the bucket and key of this stack's Pulumi state."""
    return StateAccess(
        bucket=settings.state_bucket,
        key_arn=settings.state_key,
        project=pulumi.get_project(),
        stack=pulumi.get_stack(),
        readable_stack=settings.promotes_from,
    )


def ci_deploy_role_args(
    settings: Settings,
    *,
    repository_arn: pulumi.Input[str],
    cluster: ClusterOutputs,
    targets: CiTargets,
) -> CiDeployRoleArgs:
    """Returns the arguments of the role that deploys releases."""
    return CiDeployRoleArgs(
        OidcSubject(settings.github_repository, pulumi.get_stack()),
        repository_arn,
        cluster,
        targets,
        settings.github_provider,
        state_access(settings),
    )


def ci_read_roles_args(
    settings: Settings,
    *,
    provider_arn: pulumi.Input[str],
    environment_outputs: EnvironmentOutputs,
    targets: CiTargets,
) -> CiReadRolesArgs:
    """Returns the arguments of the roles that detect drift and promote images."""
    repository = settings.github_repository
    return CiReadRolesArgs(
        OidcSubject(repository, f"drift-{pulumi.get_stack()}"),
        provider_arn,
        state_access(settings),
        environment_outputs.key_arn,
        environment_outputs.registry.arn,
        environment_outputs.cluster,
        targets,
        OidcSubject(repository, settings.promotes_to) if settings.promotes_to else None,
    )


def ci_preview_role_args(
    settings: Settings, *, provider_arn: pulumi.Input[str], environment_outputs: EnvironmentOutputs
) -> CiPreviewRoleArgs:
    """Returns the arguments of the role that creates and destroys previews."""
    state = replace(state_access(settings), stack=PREVIEW_STACK_PATTERN, readable_stack=pulumi.get_stack())
    return CiPreviewRoleArgs(settings.github_repository, provider_arn, state, environment_outputs)
