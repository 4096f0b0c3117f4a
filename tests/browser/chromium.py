"""A real Chromium without a window, driven over its DevTools protocol: `async with Browser(folder) as browser`."""

import asyncio
import base64
import json
from itertools import count
from pathlib import Path
from typing import Any, Self

from e2e.parts import GRAIN, LOOPBACK, PATIENCE, Process, program
from websockets.asyncio.client import ClientConnection, connect

# It may talk to nobody but the page: no proxy, no updates, no sandbox (the tests may run as root).
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # a container's /dev/shm is small
    "--no-proxy-server",
    "--remote-debugging-port=0",
)

KEYS = {"Tab": 9, "Enter": 13}  # DOM key codes


class Browser:
    """One tab of a fresh profile in `folder`. complaints: what the console logged, violations of the CSP among it."""

    def __init__(self, folder: Path) -> None:
        profile = folder / "profile"
        self.complaints: list[str] = []
        self._port_file = profile / "DevToolsActivePort"
        self._process = Process([program("chromium"), *FLAGS, f"--user-data-dir={profile}"], folder, "chromium")
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            self._socket = await self._connect()
            self._listener = asyncio.create_task(self._listen())
            self._session = ""
            target = await self._call("Target.createTarget", url="about:blank")
            attached = await self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await self._call(f"{domain}.enable")
        except BaseException:
            self._process.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.cancel()
        await self._socket.close()
        self._process.kill()

    async def look(self, width: int, height: int, dark: bool) -> None:
        """The size of the window in CSS pixels, and the colour scheme that its user prefers."""
        await self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._call("Emulation.setEmulatedMedia", features=[scheme])

    async def open(self, url: str) -> None:
        self._loaded.clear()
        await self._call("Page.navigate", url=url)
        await self._load()

    async def click(self, selector: str) -> None:
        """A mouse click into its middle, and the page that it leads to."""
        self._loaded.clear()
        x, y = await self.evaluate(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        await self._load()

    async def press(self, key: str) -> None:
        """A key by its name, such as Tab."""
        for kind in ("rawKeyDown", "keyUp"):
            await self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    async def text(self) -> str:
        """What a person reads."""
        return str(await self.evaluate("document.body.innerText"))

    async def evaluate(self, script: str, *, wait: bool = False) -> Any:
        """The value of an expression in the page. wait: it is a promise, whose value is meant."""
        found = await self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=wait)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def screenshot(self) -> bytes:
        """A PNG of the window."""
        return base64.b64decode((await self._call("Page.captureScreenshot", format="png"))["data"])

    async def _connect(self) -> ClientConnection:
        async with asyncio.timeout(PATIENCE):
            while not self._port_file.exists() or self._port_file.read_text().count("\n") < 1:
                assert not self._process.ended(), self._process.complained()
                await asyncio.sleep(GRAIN)
        port, path = self._port_file.read_text().split()
        return await connect(f"ws://{LOOPBACK}:{port}{path}", proxy=None, max_size=None)

    async def _load(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._loaded.wait()

    async def _call(self, method: str, **params: object) -> Any:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        await self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        async with asyncio.timeout(PATIENCE):
            answer = await self._answers[number]
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    async def _listen(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif message["method"] == "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])
