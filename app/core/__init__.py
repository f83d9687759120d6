"""What every layer stands on: settings, logs, errors, security, database, Redis, metrics."""
