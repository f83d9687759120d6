"""Converts a stack's settings into arguments of components: a module for each part of the architecture."""
