"""Changes to ministack, each restoring a behaviour of AWS that the deployments depend on."""
