"""Reports: runs as one page that needs no server, and as TensorBoard shows them."""
