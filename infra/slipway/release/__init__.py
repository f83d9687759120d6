"""Checks before and after a deployment, and commands that deploy an image."""
