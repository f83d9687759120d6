"""The tags of a preview's Pulumi stack."""

from __future__ import annotations

KIND_TAG = "slipway:kind"
"""Set last when a preview is created: it makes other commands treat the stack as a preview."""
PREVIEW_KIND = "preview"
BASE_TAG = "slipway:base"
"""Its base environment. The tag claims one of that environment's places."""
NAME_TAG = "slipway:name"
"""The preview's name: its branch's."""
EXPIRES_TAG = "slipway:expires"
"""Expiry time, ISO 8601."""
DATABASE_TAG = "slipway:database"
EXTERNAL_DATABASE = "external"
"""Tag and its value, of a preview with an external database."""
