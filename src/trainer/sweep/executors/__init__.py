"""Executors of sweep jobs: local processes, Ray and submitit."""
