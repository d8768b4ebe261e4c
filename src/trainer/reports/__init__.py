"""HTML and Markdown pages, tables and TensorBoard log directories of runs and sweeps."""
