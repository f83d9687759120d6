"""A stack's resource graph as data: its plan, diagram and cost."""
