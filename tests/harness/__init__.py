"""What tests of running gateways stand on: real sockets on loopback, upstreams with a script, raw clients."""
