"""The program: what kind of stack this is decides what it is made of."""

from __future__ import annotations

import pulumi

from infra.app_file import load_app
from infra.environment import environment
from infra.errors import SlipwayError
from infra.naming import stack_name
from infra.preview import preview
from infra.settings import Settings
from infra.tags import tag_everything

settings = Settings.from_pulumi()
name = stack_name(pulumi.get_project(), pulumi.get_stack())
borrowing = {"kind": "preview", "base": stack_name(pulumi.get_project(), settings.base)} if settings.base else {}
tag_everything(pulumi.get_project(), name, settings.tier, **borrowing)
try:
    app = load_app(settings)
    if settings.kind == "environment":
        environment(name, settings, app)
    else:
        preview(name, settings, app)
except SlipwayError as error:
    raise pulumi.RunError(str(error)) from None  # what the engine shows without a stack trace
