"""Launch, rendezvous and results of runs with several processes."""
