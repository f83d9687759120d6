"""What is configured: settings of stacks, stacks/app.yaml, names and limits."""
