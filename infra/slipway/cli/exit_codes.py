"""The exit codes of the `slipway` command; the table on docs/reference/commands.md is made of them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ends."""

    SUCCESS = 0
    ERROR = 1
    DIFFERENCE = 2
    """Shared with click, which ends so for a wrong option."""
    INTERRUPTED = 130


EXIT_CODE_MEANINGS = {
    ExitCode.SUCCESS: "Success.",
    ExitCode.ERROR: (
        "An error, which standard error names; with `--json` it is an object on standard output. Also: a check that "
        "failed (`check`, `doctor`), and `status` of a stack that is down."
    ),
    ExitCode.DIFFERENCE: (
        "A wrong option or argument. Also: a difference that the command looks for (`drift`, `pipeline check`), and "
        "`status` of a stack that is degraded."
    ),
    ExitCode.INTERRUPTED: "Interrupted by Ctrl-C. Run the same command again to continue.",
}
"""What each code means, in the order of the table. `run`, `exec` and `connect` pass on another program's own code."""
