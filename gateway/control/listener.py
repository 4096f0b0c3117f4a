"""A TCP listener for an aiohttp application: the admin listener, and the demo's echo upstream."""

from aiohttp import web


class Listener:
    """address: (host, port) as bound, known after start."""

    def __init__(self, application: web.Application, host: str, port: int) -> None:
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        self._host = host
        self._port = port
        self.address: tuple[str, int] = (host, port)

    async def start(self) -> None:
        """Binds; port 0 takes a free one. Raises OSError when the address is taken or not ours."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except BaseException:
            await self._runner.cleanup()
            raise
        self.address = self._runner.addresses[0][:2]

    async def aclose(self) -> None:
        """Stops accepting, ends what runs within a second."""
        await self._runner.cleanup()
