"""Sweeps that one can plan, stop, resume and extend: a ledger of all jobs, what they are, and how they are run."""
