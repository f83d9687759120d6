"""ECS with real containers: ministack keeps the API, this package runs tasks and services."""
