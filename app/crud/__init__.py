"""Statements, and nothing else: no rules, no transactions."""
