"""Where the commands write for a person: answers on standard output, steps and errors on standard error.

Lines stay as they are: none is broken at the terminal's width, and the `:secret:` of an ARN is no sign.
"""

from __future__ import annotations

from rich.console import Console

out = Console(highlight=False, soft_wrap=True, emoji=False)
steps = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
