"""Creates the CI pipeline's roles of an environment, each for the jobs of one GitHub environment."""

from __future__ import annotations

import pulumi

from slipway.components.ci_deploy_role import CiDeployRole
from slipway.components.ci_preview_role import CiPreviewRole
from slipway.components.ci_read_roles import CiReadRoles
from slipway.components.ci_targets import CiTargets
from slipway.components.outputs import EnvironmentOutputs
from slipway.config.settings import Settings
from slipway.program.component_args.ci import ci_deploy_role_args, ci_preview_role_args, ci_read_roles_args


def create_ci_roles(
    name: str, settings: Settings, *, environment_outputs: EnvironmentOutputs, targets: CiTargets
) -> dict[str, pulumi.Output[str] | None]:
    """Creates the roles; returns stack output -> ARN; None for a role that the settings do not enable.

    `targets`: every service, task definition and schedule of the stack that a release changes.
    """
    cluster, repository_arn = environment_outputs.cluster, environment_outputs.registry.arn
    deploy_role = CiDeployRole(
        name, ci_deploy_role_args(settings, repository_arn=repository_arn, cluster=cluster, targets=targets)
    )
    read_roles = CiReadRoles(
        name,
        ci_read_roles_args(
            settings,
            provider_arn=deploy_role.provider_arn,
            environment_outputs=environment_outputs,
            targets=targets,
        ),
    )
    role_arns: dict[str, pulumi.Output[str] | None] = {
        "pipelineRole": deploy_role.arn,
        "driftRole": read_roles.drift_role_arn,
        "promoteRole": read_roles.promote_role_arn,
    }
    if settings.previews:
        args = ci_preview_role_args(
            settings, provider_arn=deploy_role.provider_arn, environment_outputs=environment_outputs
        )
        role_arns["previewRole"] = CiPreviewRole(name, args).arn
    return role_arns
