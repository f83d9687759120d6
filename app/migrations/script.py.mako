"""${message}

Expand or contract: an expanding migration leaves the running code working (new columns have defaults or are
nullable, nothing is renamed); what the old code needed goes in a later one, when no old task runs any more.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Go forward."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Go back."""
    ${downgrades if downgrades else "pass"}
