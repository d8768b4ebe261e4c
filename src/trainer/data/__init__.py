"""Data sets: one file each, a LightningDataModule that promises a DataSpec."""
