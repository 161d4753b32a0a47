"""Tries a request on the page /docs with a real Chromium, in its own environment; a folder as the third argument gets a photograph."""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "embedded"))
from browser import Browser

_, rest, _grpc, *folder = sys.argv
PRESS = "document.querySelector('#form button[type=submit]').click()"


def fill(column: str, value: str) -> str:
    return (
        f"(() => {{ const input = document.getElementById({json.dumps('field ' + column)}); input.value = {json.dumps(value)};"
        "input.dispatchEvent(new Event('input')); })()"
    )


with tempfile.TemporaryDirectory() as profile:
    browser = Browser(pathlib.Path(profile) / "profile")
    try:
        first = browser.open(f"http://127.0.0.1:{rest}/docs#taxi", "Predict", "fare")
        browser.evaluate(PRESS)
        answered = browser.wait_for("200,")
        if folder:
            browser.photograph(pathlib.Path(folder[0]) / "docs.png")
        browser.evaluate(fill("fare", ""))
        browser.evaluate(PRESS)
        refused = browser.wait_for("400,")
        browser.open(f"http://127.0.0.1:{rest}/docs#", "Predict")
        browser.evaluate(
            "[...document.querySelectorAll('#models button')].find((one) => one.textContent === 'house').click()"
        )
        browser.evaluate(fill("area", "60"))
        browser.evaluate("document.getElementById('explain').click()")
        browser.evaluate(PRESS)
        explained = browser.wait_for("what moved the score")
        if folder:
            browser.photograph(pathlib.Path(folder[0]) / "docs-explained.png")
        body = json.loads(browser.evaluate("document.getElementById('body').value"))
        command = browser.evaluate("document.getElementById('command').textContent")
    finally:
        browser.close()
print(
    json.dumps(
        {
            "first": first,
            "answered": answered,
            "refused": refused,
            "explained": explained,
            "body": body,
            "command": command,
        }
    )
)
