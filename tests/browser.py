"""A real Chromium, driven over its own pipe: pages with real keys, pictures, and all that they asked for.

In: the path of a Chromium, a directory for its profile. Out: `Page`s, each with a session of its own, as of
another person. What a page does wrong is in `Page.complaints`; what it asked for, in `Page.requests`.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--explicitly-allowed-ports=10080",  # which it refuses by itself, and a test may be given
    *("--disable-dev-shm-usage", "--force-color-profile=srgb", "--remote-debugging-pipe"),
)
PATIENCE_S = 60.0

KEYS = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Space": (" ", 32, " "),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
}
SHIFT = 8
MIDDLE = """
(() => {
  const at = document.querySelector(SELECTOR);
  at.scrollIntoView({ block: "center" });
  const box = at.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()
"""


class Browser:
    """One process; `close` ends it."""

    def __init__(self, chromium: str, profile: Path, *flags: str) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        wiring = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = ["bash", "-c", wiring, chromium, *FLAGS, *flags, f"--user-data-dir={profile}"]
        with (profile.parent / "chromium.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = os.fdopen(ours_in, "rb", 0), os.fdopen(ours_out, "wb", 0)
        self._rest, self._number = b"", 0
        self._pages: dict[str, Page] = {}

    def page(self, width: int = 1280, height: int = 800, *, dark: bool = False) -> Page:
        """A page of somebody who shares no cookie with others."""
        person = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=person)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.media(dark=dark)
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """A command, and what it came to; events that arrive meanwhile go to their pages."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        self._out.write(json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            answer = self.hear(method)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def hear(self, awaited: str) -> dict[str, Any]:
        """The next message; an event goes to its page."""
        message = self._read(awaited)
        if page := self._pages.get(message.get("sessionId", "")):
            page.hear(message)
        return message

    def _read(self, awaited: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            readable, _, _ = select.select([self._in], [], [], PATIENCE_S)
            assert readable, f"Chromium says nothing; waiting for {awaited}"
            piece = self._in.read(1 << 20)
            assert piece, "Chromium has gone; see chromium.log beside its profile"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._in.close()
        self._out.close()


class Page:
    """A tab. Waiting is for a condition in the page, never for a time."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self._loaded = True
        self.dropped = False
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def hear(self, event: dict[str, Any]) -> None:
        said = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(said["request"]["url"])
            case "Runtime.exceptionThrown":
                details = said["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if said["type"] in ("error", "warning", "assert"):
                self.complaints.append(str([each.get("value") for each in said["args"]]))
            case "Log.entryAdded" if "ERR_NETWORK_CHANGED" in said["entry"]["text"]:
                self.dropped = True
            case "Log.entryAdded" if said["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")

    def open(self, url: str) -> None:
        """Go there, again where an interface of this machine came or went: Chromium drops requests then."""
        self.load(url)
        while self.dropped:
            self.load(url)

    def load(self, url: str) -> None:
        """Go there, until everything has come or failed."""
        self.dropped = self._loaded = False
        answer = self.call("Page.navigate", url=url)
        if failure := answer.get("errorText"):
            assert "ERR_NETWORK_CHANGED" in failure, f"{url}: {failure}"
            self.dropped = True
        if "loaderId" not in answer:
            return  # to another place of the same page
        while not self._loaded:  # a script that runs at the change of pages is never answered
            self._browser.hear(url)
        self.run("0")  # after which all that was said before is heard

    def run(self, script: str) -> Any:
        """What an expression comes to, promises included; raises AssertionError where it throws."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, f"{script}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Until the expression is true; gives its value."""
        deadline = time.monotonic() + PATIENCE_S
        attempt = f"(() => {{ try {{ return {condition} }} catch {{ return false }} }})()"
        while not (value := self.run(f"(found => found instanceof Node || found)({attempt})")):
            if time.monotonic() > deadline:
                text = self.run("document.body.innerText")
                raise AssertionError(
                    f"never came true: {condition}\nthe page says: {text}\n{self.complaints}"
                )
            time.sleep(0.05)
        return value

    def wait_for_text(self, text: str) -> None:
        self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def text(self, selector: str) -> str:
        """What a reader sees of an element, in one line."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        return " ".join(self.run(f"document.querySelector({json.dumps(selector)}).innerText").split())

    def press(self, *names: str, shift: bool = False) -> None:
        """Keys, one after the other, as a keyboard gives them."""
        for name in names:
            key, code, text = KEYS[name]
            said = {"key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": SHIFT * shift}
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **said)
            self.call("Input.dispatchKeyEvent", type="keyUp", **said)

    def write(self, text: str) -> None:
        """Text, at the place that has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """The middle of an element, by the mouse."""
        self.wait(f"document.querySelector({json.dumps(selector)})")
        x, y = self.run(MIDDLE.replace("SELECTOR", json.dumps(selector)))
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def media(self, *, dark: bool = False, still: bool = False) -> None:
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def picture(self, place: Path, *, whole: bool = False) -> None:
        """A PNG of what is seen, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        place.write_bytes(base64.b64decode(data))
