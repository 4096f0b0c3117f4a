"""SQLite: one file, the default. How it is opened, read, written to and kept."""
