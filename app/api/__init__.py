"""Thin endpoints: dependencies in, one call of a service, a typed answer out."""
