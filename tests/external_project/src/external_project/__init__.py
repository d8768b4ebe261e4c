"""Package that extends trainer with a data set and a network."""
