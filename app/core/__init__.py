"""What every layer uses: settings, logs, errors, security, database, Redis, metrics."""
