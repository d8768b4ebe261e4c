"""Batches: splits, sampling, augmentation, prefetching and device placement."""
