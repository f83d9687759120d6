"""What an environment makes once for all previews on it: see components/preview_ground.py."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from infra.app import App
from infra.components.image import Image, ImageArgs
from infra.components.preview_door import PreviewDoor, PreviewDoorArgs
from infra.components.preview_ground import PreviewGround, PreviewGroundArgs
from infra.containers import owner_of_the_database
from infra.foundation import Foundation, PreviewFacts
from infra.processes import Processes
from infra.release.image_tag import before_the_image_is_pushed
from infra.settings import Settings
from infra.stores import Stores
from infra.template import template_of_previews


def ground_of_previews(
    name: str,
    app: App,
    settings: Settings,
    *,
    foundation: Foundation,
    balancer_arn: pulumi.Input[str],
    stores: Stores,
    processes: Processes,
) -> PreviewFacts:
    """Roles, a security group, a Redis to run beside apps, the task that makes databases: as far as the app needs."""
    cache: pulumi.Input[str] = ""
    if "cache" in app.stores:
        hooks = before_the_image_is_pushed(f"{name}-previews-cache")
        base = f"redis:{settings.cache_version[0]}-alpine"
        image = ImageArgs.of_the_kit("cache", base, settings, registry=foundation.registry, hooks=hooks)
        cache = Image(f"{name}-previews-cache", image).reference
    args = PreviewGroundArgs.of(settings, foundation=foundation, port=app.port, cache_image=cache)
    if settings.preview_domain:
        door = PreviewDoorArgs.of(settings, load_balancer=foundation.load_balancer, load_balancer_arn=balancer_arn)
        opened = PreviewDoor(name, door)
        args = replace(args, domain=settings.preview_domain, url=opened.url, listener_arn=opened.listener_arn)
    database_image = processes.database_image
    if stores.database_step and database_image is not None:
        plain, owner = owner_of_the_database(stores.values, stores.database_step)
        args = replace(args, database_image=database_image, database=plain, owner=owner)
    if settings.preview_data == "template" and app.preview_seed:
        made = template_of_previews(name, app, settings, foundation=foundation, stores=stores, processes=processes)
        args = replace(args, template=made)
    return PreviewGround(name, args).facts
