"""The Pulumi program: environments, previews, and their parts."""
