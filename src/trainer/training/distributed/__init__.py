"""Runs of several processes: launch, rendezvous and results."""
