"""Training runs: building the parts, preflight checks, the training loop and its processes."""
