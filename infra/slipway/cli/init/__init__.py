"""`slipway init`: writes the deployment files of a repository with a FastAPI app."""
