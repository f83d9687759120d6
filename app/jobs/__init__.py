"""Background work: what a job is (`job`), who sends and runs it (`sender`, `worker`), what there is (`exports`)."""
