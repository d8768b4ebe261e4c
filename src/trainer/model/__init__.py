"""Networks, each a plain `nn.Module` that is built from a DataSpec."""
