"""What surrounds every request: ids, logs, limits of size and number, errors as answers, health."""
