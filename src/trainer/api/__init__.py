"""Python API for notebooks, which `trainer` exports: configure, train, test, sweep, load and report."""
