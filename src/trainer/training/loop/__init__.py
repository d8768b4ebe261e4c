"""Fast replacement of Lightning's training loop for short steps."""
