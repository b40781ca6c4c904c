"""A page in a real browser (Chromium, by Qt WebEngine), without a window and without a network.

`visit` starts this file as a process of its own, with a list of things to do; it answers what the page said to its
console, what it asked the network for, and what each thing to do gave:

    {"do": "run", "script": JS}             what JS returns, as JSON
    {"do": "click", "on": SELECTOR}         a click of the mouse in the middle of it, scrolled into view
    {"do": "key", "key": "Return"}          a key on the keyboard, for what has the focus
    {"do": "type", "text": TEXT}            letters
    {"do": "size", "width": W, "height": H}
    {"do": "shot", "file": PNG}             what is seen
    {"do": "print", "file": PDF}
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE_SECONDS = 120
SETTLE_MS = 120
LOADS, PAUSE_MS = 5, 1000


class Visit(NamedTuple):
    """console: lines that the page (or the browser about it) logged.   requests: addresses, the page's own left out."""

    results: list[Any]
    console: list[str]
    requests: list[str]


def visit(page: Path, *tasks: dict[str, Any], width: int = 1280, height: int = 900, dark: bool = False) -> Visit:
    """Open a file, do one thing after the other. Raises RuntimeError where the browser gives up."""
    question = {"page": str(page), "tasks": tasks, "width": width, "height": height}
    flags = (
        f"--no-sandbox --disable-gpu --disable-dev-shm-usage --blink-settings=preferredColorScheme={0 if dark else 1}"
    )
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_CHROMIUM_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(question),
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the browser ended with {done.returncode}: {done.stderr[-2000:]}")
    return Visit(**json.loads(done.stdout.splitlines()[-1]))


@cache
def why_missing() -> str:
    """Why there is no browser here; "" if there is one."""
    if importlib.util.find_spec("PySide6") is None or importlib.util.find_spec("PySide6.QtWebEngineWidgets") is None:
        return "no browser: install the extra `browser`"
    code = "import PySide6.QtWebEngineWidgets, PySide6.QtTest"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return "" if not done.returncode else f"no browser: {done.stderr.strip().splitlines()[-1]}"


def main() -> None:
    from PySide6.QtCore import QEventLoop, QMarginsF, QPoint, Qt, QTimer, QUrl
    from PySide6.QtGui import QPageLayout, QPageSize
    from PySide6.QtTest import QTest
    from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineProfile, QWebEngineUrlRequestInterceptor
    from PySide6.QtWebEngineWidgets import QWebEngineView
    from PySide6.QtWidgets import QApplication

    question = json.load(sys.stdin)
    home = QUrl.fromLocalFile(question["page"])
    console: list[str] = []
    requests: list[str] = []

    class Watch(QWebEngineUrlRequestInterceptor):
        def interceptRequest(self, info: Any) -> None:
            if info.requestUrl() != home:
                requests.append(info.requestUrl().toString())

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level: Any, message: str, line: int, source: str) -> None:
            console.append(f"{level.name}: {message} (line {line})")

    application = QApplication(sys.argv)
    profile, watch, view = QWebEngineProfile(), Watch(), QWebEngineView()
    profile.setUrlRequestInterceptor(watch)
    page = Page(profile, view)
    view.setPage(page)
    view.resize(question["width"], question["height"])
    view.show()

    def waited(start: Any) -> Any:
        """What `start` hands to its callback."""
        loop, answers = QEventLoop(), []
        start(lambda *arguments: (answers.extend(arguments), loop.quit()))
        if not answers:
            loop.exec()
        return answers[0]

    def settle(ms: int = SETTLE_MS) -> None:
        loop = QEventLoop()
        QTimer.singleShot(ms, loop.quit)
        loop.exec()

    def run(script: str) -> Any:
        return json.loads(waited(lambda tell: page.runJavaScript(f"JSON.stringify({script}) ?? 'null'", tell)))

    def click(selector: str) -> None:
        place = run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', inline: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        settle()
        QTest.mouseClick(view.focusProxy(), Qt.MouseButton.LeftButton, pos=QPoint(*map(round, place)))
        settle()

    def print_to(file: str) -> None:
        layout = QPageLayout(QPageSize(QPageSize.PageSizeId.A4), QPageLayout.Orientation.Landscape, QMarginsF())

        def start(tell: Any) -> None:
            page.pdfPrintingFinished.connect(lambda path, fine: tell(fine))
            page.printToPdf(file, layout)

        waited(start)

    def do(task: dict[str, Any]) -> Any:
        match task["do"]:
            case "run":
                return run(task["script"])
            case "click":
                click(task["on"])
            case "key":
                QTest.keyClick(view.focusProxy(), getattr(Qt.Key, f"Key_{task['key']}"))
                settle()
            case "type":
                QTest.keyClicks(view.focusProxy(), task["text"])
                settle()
            case "size":
                view.resize(task["width"], task["height"])
                settle()
            case "shot":
                settle()
                view.grab().save(task["file"])
            case "print":
                print_to(task["file"])
        return None

    def start(tell: Any) -> None:
        view.loadFinished.connect(tell, Qt.ConnectionType.SingleShotConnection)
        view.load(home)

    # On a busy machine the first load of a file that is there may fail, as Chromium's processes are not up yet.
    if not any(waited(start) or settle(tried * PAUSE_MS) for tried in range(1, LOADS)):
        sys.exit(f"{question['page']} does not load")
    view.setFocus()
    settle()
    results = [do(task) for task in question["tasks"]]
    print(json.dumps({"results": results, "console": console, "requests": requests}), flush=True)
    application.processEvents()
    os._exit(0)  # Chromium's processes end with it; an orderly end may hang without a display


if __name__ == "__main__":
    main()
