"""Reading of prices and other time series."""
