"""What may be chosen and set, told from the sources alone: nothing that a config names is imported for it."""
