"""Who may deploy: the pipeline's roles, each for the jobs of one GitHub environment."""

from __future__ import annotations

from typing import Any

import pulumi

from infra.components.github_trust import StateAccess
from infra.components.pipeline_previews import PipelinePreviews, PipelinePreviewsArgs
from infra.components.pipeline_readers import PipelineReaders, PipelineReadersArgs
from infra.components.pipeline_role import PipelineRole, PipelineRoleArgs
from infra.foundation import Foundation
from infra.processes import Processes
from infra.settings import Settings


def roles_of_the_pipeline(
    name: str, settings: Settings, *, foundation: Foundation, processes: Processes
) -> dict[str, pulumi.Output[str] | None]:
    """Output -> the role's ARN; one that the settings do not ask for is None."""
    facts: dict[str, Any] = {
        "state": StateAccess.of(settings),
        "repository_arn": foundation.registry.arn,
        "cluster": foundation.cluster,
    }
    deploys = PipelineRole(name, PipelineRoleArgs.of(settings, **facts, **processes.for_the_pipeline()))
    facts |= {"provider_arn": deploys.provider_arn, "key_arn": foundation.key_arn, **processes.for_readers()}
    reads = PipelineReaders(name, PipelineReadersArgs.of(settings, **facts))
    found = {"pipelineRole": deploys.arn, "driftRole": reads.drift_arn, "promoteRole": reads.promote_arn}
    if settings.previews:
        args = PipelinePreviewsArgs.of(settings, provider_arn=deploys.provider_arn, foundation=foundation)
        found["previewRole"] = PipelinePreviews(name, args).arn
    return found
