"""Tables of users: inspection of the columns of a file, and their encoding as numbers."""
