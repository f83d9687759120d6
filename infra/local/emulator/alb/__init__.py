"""What ministack's load balancer lacks: real target health, routing by it, draining, custom domains."""
