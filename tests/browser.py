"""A page in headless Chromium, driven through its debugging pipe: no port, and nothing to install."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"


class Browser:
    """One tab; `said` is what its console and its policy complained of, `asked` every address that it went to."""

    def __init__(self, profile: Path) -> None:
        for_it, self.to = os.pipe()
        self.back, from_it = os.pipe()
        command = [str(CHROMIUM), *QUIET.split(), f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        # Chromium reads its descriptor 3 and writes its 4.
        script = f'exec "$@" 3<&{for_it} 4>&{from_it}'
        log = subprocess.DEVNULL
        self.process = subprocess.Popen(["bash", "-c", script, "-", *command], pass_fds=(for_it, from_it), stderr=log)
        os.close(for_it)
        os.close(from_it)
        self.buffer, self.number, self.session = b"", 0, ""
        self.said: list[str] = []
        self.asked: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        os.write(self.to, json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        while (answer := self.read()).get("id") != self.number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def read(self) -> dict[str, Any]:
        """The next message, noted where it is a complaint or a request."""
        while b"\0" not in self.buffer:
            more = os.read(self.back, 2**16)
            assert more, "Chromium ended"
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(line)
        if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.said.append(line.decode())
        if message.get("method") == "Network.requestWillBeSent":
            self.asked.append(message["params"]["request"]["url"])
        return message

    def open(self, page: Path, width: int = 1200, theme: str = "light") -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.asked.clear()
        self.call("Page.navigate", url=page.as_uri())
        while self.read().get("method") != "Page.loadEventFired":
            pass

    def ask(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def point(self, selector: str, click: bool = False) -> None:
        """Move the mouse to the middle of an element, and click it."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.ask(f"{found}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.ask(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({found}.getBoundingClientRect())"
        )
        self.move(*box)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, **at)

    def move(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def stop(self) -> None:
        self.session = ""
        self.call("Browser.close")
        self.process.wait(20)
        os.close(self.to)
        os.close(self.back)
