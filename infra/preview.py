"""A preview, read top to bottom as its architecture: one service on what its environment owns."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from infra import naming
from infra.app import App
from infra.borrowed import Borrowed
from infra.components.guest import Guest
from infra.components.image import Image, ImageArgs
from infra.components.secrets import Secrets, SecretsArgs
from infra.guests import Guests, foundation_of, front_door, host_and_url
from infra.release.image_tag import before_the_image_is_pushed
from infra.release.program import verified_on_every_up
from infra.release.revisions import check_heads
from infra.settings import ROOT, Settings


def preview(name: str, settings: Settings, whole: App) -> None:
    """Everything of the preview `name`, which is `<project>-<stack>`; what the environment owns is only read."""
    check_heads(ROOT / whole.source, whole.release)
    app = whole.in_a_preview()
    foundation, shared = foundation_of(settings.base, app)
    host, url = host_and_url(shared)

    # Its own data: a database in the environment's server, a Redis in its task, one secret.
    prefix = naming.of_previews(naming.stack_name(pulumi.get_project(), settings.base))
    secrets = Secrets(f"{prefix}/{name}", SecretsArgs.of(settings, key_arn=foundation.key_arn))
    data = Borrowed(name, app, settings, foundation=foundation, secrets=secrets, host=host)

    # The pull request's image: given by its digest, or built here.
    free_tag = before_the_image_is_pushed(name)
    built = ImageArgs.of_the_app(app, settings, registry=foundation.registry, hooks=free_tag)
    image = Image(f"{name}-app", replace(built, tag_prefix=f"{pulumi.get_stack()}-"))

    # One service behind the environment's door; its database is made and migrated before any of its code serves.
    guests = Guests(name, app, settings, foundation=foundation, data=data, image=image.reference)
    guest, room = Guest(name, guests.args(host, prefix, shared)), guests.room(shared)
    service = guest.serve(hooks=room, after=guests.released(guest, shared, room))

    # Whether what serves is what was asked for: on every `up`.
    verified_on_every_up(
        service,
        cluster_arn=foundation.cluster.arn,
        name=service.name,
        task_definition_arn=guest.task.arn,
        url=front_door(foundation, url, app.health.live),
        host=host,
        release=guests.release,
    )

    pulumi.export("url", url)
    pulumi.export("imageDigest", image.digest)
    pulumi.export("services", {"web": service.name})
    pulumi.export("logGroups", guest.log_groups)
    pulumi.export("preview", {"base": settings.base, "cluster": foundation.cluster.arn, "host": host})
