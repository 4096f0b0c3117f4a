"""Several workers under one supervisor: their processes, their sockets, what is asked of all of them."""
