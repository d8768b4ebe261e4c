"""What a run leaves behind: its directory, its result and where it came from."""
