"""Executors of sweep jobs for local processes, Ray and submitit."""
