"""The login API of Mycelium: its paths, its camelCase, its answers."""
