"""ministack with changes that restore the behaviour of AWS that deployments depend on."""
