"""Passwords, tokens, and one form for every text that comes from outside."""
