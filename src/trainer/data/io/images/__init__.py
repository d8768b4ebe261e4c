"""Lists of image files with classes."""
