"""Previews: a running copy of the app for each pull request, on an environment that is there already."""
