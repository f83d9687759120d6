"""Background work: what runs it (`sender`, `worker`), and what there is (`exports`)."""
