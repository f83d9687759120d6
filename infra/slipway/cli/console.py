"""Consoles of the commands: results go to standard output, progress and errors to standard error.

Disables wrapping at the terminal's width, and emoji codes (`:secret:` is part of an ARN).
"""

from __future__ import annotations

from rich.console import Console

stdout_console = Console(highlight=False, soft_wrap=True, emoji=False)
table_console = Console(highlight=False, soft_wrap=True, emoji=False, width=240)
"""For tables whose rows stay on one line: a narrow terminal wraps them, and URLs and digests can be copied."""
stderr_console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
