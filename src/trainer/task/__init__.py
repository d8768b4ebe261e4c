"""Tasks, one LightningModule for each training procedure."""
