"""Files that a run writes, and their readers."""
