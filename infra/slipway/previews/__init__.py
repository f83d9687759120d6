"""Previews: a running copy of the app for each pull request, on an existing environment."""
