"""A stack's resource graph as data: its plan, its picture and its cost."""
