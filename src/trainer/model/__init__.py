"""Networks: one file each, a plain `nn.Module` built from a DataSpec."""
