"""What tests of running gateways stand on: real sockets on loopback, upstreams that do what a test says, raw clients."""
