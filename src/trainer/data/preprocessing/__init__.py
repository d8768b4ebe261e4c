"""From a user's files to what a network takes: one file for each kind of data, used in training and in prediction.

A data set has one as its attribute `preprocessing`, whole after `setup`. Its state goes into every checkpoint, and a
model that is loaded from there reads raw files by it, with no data set at hand.
"""
