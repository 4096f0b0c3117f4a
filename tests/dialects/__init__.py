"""Login APIs as their clients meet them: over sockets, byte for byte."""
