"""Conversion of user files to network inputs, one module per kind of data.

Training and prediction use the same preprocessing: a checkpoint contains its state, so that a model can read files
without the data set.
"""
