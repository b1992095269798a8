"""A headless Chromium, spoken to in its DevTools protocol through a pair of pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--remote-debugging-pipe",
)  # fmt: skip
# Chromium reads commands from descriptor 3 and answers on descriptor 4.
START = "import os, sys; os.dup2({}, 3); os.dup2({}, 4); os.execv(sys.argv[1], sys.argv[1:])"


class Page:
    """One page of the browser."""

    def __init__(self, commands: int, answers: int, size: tuple[int, int]) -> None:
        self._commands, self._answers, self._size = commands, answers, size
        self._received, self._last_id, self._session = b"", 0, ""
        created = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", targetId=created["targetId"], flatten=True)
        self._session = attached["sessionId"]
        self.resize(*size)

    def call(self, method: str, timeout: float = 30, **parameters: object) -> dict[str, Any]:
        """The answer to one command of the protocol."""
        self._last_id += 1
        command: dict[str, object] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + timeout
        while True:
            message = self._next_message(until - time.monotonic())
            if message.get("id") == self._last_id:
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])

    def open(self, url: str) -> None:
        """Loads a page; ``wait_for`` tells when it is there."""
        self.call("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        """The size of the window, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression, which must be JSON."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, is_there: Callable[[Any], bool], seconds: float = 30) -> Any:
        """Evaluates ``script`` until its value is the one waited for."""
        until = time.monotonic() + seconds
        while not is_there(value := self.evaluate(script)):
            assert time.monotonic() < until, f"after {seconds} s still {value!r}: {script}"
            time.sleep(0.2)
        return value

    def screenshot(self, path: Path) -> None:
        """Writes what the window shows as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _next_message(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0, until - time.monotonic()))
            assert ready, f"Chromium did not answer within {seconds:.0f} s"
            more = os.read(self._answers, 1 << 20)
            assert more, "Chromium has ended"
            self._received += more
        message, self._received = self._received.split(b"\0", 1)
        return dict(json.loads(message))


@contextmanager
def browser(profile: Path, size: tuple[int, int] = (1280, 1000)) -> Iterator[Page]:
    """A page of a browser that has nothing but ``profile``, an empty folder, to remember."""
    assert CHROMIUM is not None
    theirs_in, ours_out = map(_high, os.pipe())
    ours_in, theirs_out = map(_high, os.pipe())
    start = START.format(theirs_in, theirs_out)
    process = subprocess.Popen(
        [sys.executable, "-c", start, CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(ours_out, ours_in, size)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours_out)
        os.close(ours_in)


def _high(descriptor: int) -> int:
    """The same file under a number that is not 3 or 4, which are for Chromium."""
    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return higher
