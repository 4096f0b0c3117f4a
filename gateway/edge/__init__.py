"""All sockets of the data plane, and the only importer of httptools. Decides nothing: `pipeline` does."""
