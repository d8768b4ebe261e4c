"""Reading of arrays in .npz, .npy and IDX files."""
