"""The `slipway` command: a file for each group of commands."""
