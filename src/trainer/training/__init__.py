"""Construction, preflight checks, training loop and processes of runs."""
