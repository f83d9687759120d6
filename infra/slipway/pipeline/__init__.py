"""Functions behind the commands of the CI pipeline."""
