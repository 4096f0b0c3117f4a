"""Pages that people open from a mail."""
