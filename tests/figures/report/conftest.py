"""A headless Chromium, driven through its DevTools protocol over two pipes: needs no driver, port or package."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 120
"""Seconds to wait for an answer; a busy machine starts a browser slowly."""
NETWORK = ("http://", "https://", "ws://", "wss://")


def find_browser() -> str | None:
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None) if os.name == "posix" else None


class Page:
    """One tab of a browser."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from, self._buffer = to_browser, from_browser, b""
        self._count, self._session = 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._to, content) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path, width: int = 1280, scheme: str = "light") -> None:
        """Load a file in a window of `width` pixels with the colour scheme light or dark."""
        self.resize(width, scheme)
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def resize(self, width: int, scheme: str = "light", height: int = 900) -> None:
        """Give the window another size and colour scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until the expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < end, f"{condition} never became true"
            time.sleep(0.02)

    def press(self, key: str, code: int) -> None:
        """Press a key in the element that has the focus."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, exceptions, and requests that need the network."""
        return [json.dumps(event) for event in self.events if _is_complaint(event)]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], PATIENCE)
            assert ready, "the browser does not answer"
            block = os.read(self._from, 2**20)
            assert block, "the browser has ended"
            self._buffer += block
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def _is_complaint(event: dict[str, Any]) -> bool:
    name, content = event.get("method"), event.get("params", {})
    if name == "Network.requestWillBeSent":
        return content["request"]["url"].startswith(NETWORK)
    # The console of a page that works is empty, so everything in it counts.
    return name in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")


@contextmanager
def browser_page(program: str, profile: Path) -> Iterator[Page]:
    """Start a browser with a fresh profile, yield a tab, and end the browser."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    # The protocol uses the descriptors 3 and 4.
    shell = f'exec "$@" 3<&{commands} 4>&{answers}'
    words = ["bash", "-c", shell, "bash", program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(words, pass_fds=(commands, answers), start_new_session=True, **silent)
    os.close(commands)
    os.close(answers)
    try:
        yield Page(to_browser, from_browser)
    finally:
        # The browser ends by itself when its pipe closes.
        os.close(to_browser)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(from_browser)


@pytest.fixture(scope="session")
def browser_tab(tmp_path_factory) -> Iterator[Page]:
    """A tab of one browser for all tests of a session."""
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine: install chromium to test the page in a browser")
    with browser_page(program, tmp_path_factory.mktemp("browser") / "profile") as page:
        yield page


@pytest.fixture
def tab(browser_tab) -> Page:
    """The tab, with its messages of earlier tests forgotten."""
    browser_tab.events.clear()
    return browser_tab


@pytest.fixture
def undrawn(monkeypatch):
    """One empty figure in place of all drawings, which take seconds."""
    monkeypatch.setattr("figures.report.page.figures_in", lambda *_: {Path("sim-dynamics"): Figure(figsize=(1, 1))})
