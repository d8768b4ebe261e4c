"""Reading of tables in files of many formats."""
