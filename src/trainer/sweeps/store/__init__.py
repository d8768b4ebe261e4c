"""SQLite store of the jobs and trials of a sweep."""
