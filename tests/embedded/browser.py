"""A headless Chromium, driven by its DevTools protocol: open a page, read its text, photograph it.

No browser library: one socket and seven commands are all that a photograph takes, and no environment grows by it.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
Theme = Literal["light", "dark"]


class Browser:
    """One page of a browser with a profile of its own.

    Args:
        profile: An empty folder.
        width, height: The page, in CSS pixels.
    """

    def __init__(self, profile: Path, width: int = 1440, height: int = 900) -> None:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            pytest.skip("no Chromium is installed (Debian: apt install chromium)")
        # --no-sandbox: as root, in a container, Chromium has no other way; it sees pages of this machine only.
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        options += ["--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        with (profile.parent / f"{profile.name}.log").open("wb") as log:
            self._process = subprocess.Popen([program, *options, "about:blank"], stdout=log, stderr=log)
        self._calls = 0
        self._socket = self._attach(profile / "DevToolsActivePort")
        self._call("Page.enable")
        self.resize(width, height)

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=30)

    def log_in(self, url: str, token: str, theme: Theme) -> None:
        """Takes an API token for a session of Airflow's UI, and a colour scheme, before the first page is opened."""
        self._call("Network.setCookie", name="_token", value=token, url=url)
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.prefer(theme=theme)

    def prefer(self, **settings: str) -> None:
        """Sets what pages keep in their local storage, for every page that is opened from now on."""
        script = "".join(f"localStorage.setItem({json.dumps(k)}, {json.dumps(v)});" for k, v in settings.items())
        self._call("Page.addScriptToEvaluateOnNewDocument", source=f"try {{ {script} }} catch {{}}")

    def resize(self, width: int, height: int) -> None:
        """The page's size in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def open(self, url: str, *expected: str, seconds: float = 60) -> str:
        """Opens a page and waits until it shows the texts that are expected, and has stopped changing.

        Returns:
            The page's text.
        """
        self._call("Page.navigate", url=url)
        return self.wait_for(*expected, seconds=seconds)

    def wait_for(self, *expected: str, seconds: float = 60) -> str:
        deadline, before = time.monotonic() + seconds, ""
        while True:
            time.sleep(1)
            text = self.text()
            missing = [one for one in expected if one not in text]
            if not missing and text == before:
                return text
            before = text
            assert time.monotonic() < deadline, f"the page does not show {missing}, but:\n{text}"

    def text(self) -> str:
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def photograph(self, file: Path) -> None:
        """Saves what the page shows as a PNG."""
        picture = self._call("Page.captureScreenshot", format="png")["data"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(picture))

    def press(self, label: str) -> None:
        """Presses the button whose label for screen readers begins so."""
        script = f"!!document.querySelector('[aria-label^=' + {json.dumps(json.dumps(label))} + ']')?.click"
        assert self.evaluate(script), f"there is no button {label!r}"
        self.evaluate(script.removeprefix("!!") + "()")

    def evaluate(self, expression: str) -> Any:
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def _attach(self, port_file: Path) -> ClientConnection:
        deadline = time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text().strip():
            assert self._process.poll() is None and time.monotonic() < deadline, "Chromium does not start"
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        while True:
            targets = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False, timeout=30).json()
            pages = [one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page"]
            if pages:
                return connect(pages[0], max_size=None, proxy=None)
            assert time.monotonic() < deadline, "Chromium has no page"
            time.sleep(0.1)

    def _call(self, method: str, **parameters: Any) -> Any:
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            # Events come in between.
            if answer.get("id") == self._calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
