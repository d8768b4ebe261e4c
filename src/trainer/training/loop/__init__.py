"""Loop: Lightning's training loop without what a step does not need."""
