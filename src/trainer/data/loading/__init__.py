"""Splits, sampling, augmentation, prefetching and device placement of batches."""
