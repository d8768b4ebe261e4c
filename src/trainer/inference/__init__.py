"""Loading, prediction and export of trained networks."""
