"""Routes as values, and the table that finds the one for a request."""
