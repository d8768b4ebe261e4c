"""Random augmentation of images by name, with random numbers from (seed, epoch, example) alone."""
