"""File formats, downloads and caches of data sets."""
