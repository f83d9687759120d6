"""Commands that end in `-- COMMAND`: what is behind the dashes belongs to another program, options included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

META_KEY = "slipway.command_words"


class CommandWithWords(TyperCommand):
    """Keepss the words behind `--` apart from the command's own arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses what stands before `--`."""
        if "--" in args:
            position = args.index("--")
            ctx.meta[META_KEY] = tuple(args[position + 1 :])
            args = args[:position]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Shows `-- COMMAND` in the usage line."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def command_words(context: Any) -> Sequence[str]:
    """Returns the words behind `--`; empty where there are none."""
    words: Sequence[str] = context.meta.get(META_KEY, ())
    return words
