"""Statements, a module for each table that services ask; a caller's session or reader runs them."""
