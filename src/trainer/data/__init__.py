"""Data sets, one module each, as LightningDataModules with a DataSpec."""
