"""Everything that is not proxying: the built-in application, the admin listener, outgoing HTTP. The home of aiohttp."""
