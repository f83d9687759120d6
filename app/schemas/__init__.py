"""What goes over the wire: validated input, and output that names each field on purpose."""
