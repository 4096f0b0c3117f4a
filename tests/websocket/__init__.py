"""WebSocket conformance by the suite that others use: Autobahn's fuzzing client, through the gateway and without it."""
