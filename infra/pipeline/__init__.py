"""What the CI pipeline's files call, as commands that run here too."""
