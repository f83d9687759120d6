"""Rules and what belongs together in a transaction. Knows nothing of HTTP but the status of a refusal."""
