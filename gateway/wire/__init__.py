"""HTTP as values: messages, headers, targets, peers, presented credentials. Pure: no sockets, no clock."""
