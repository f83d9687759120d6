"""The load balancer's data plane: target health, routing by it, draining, custom domains, WebSockets."""
