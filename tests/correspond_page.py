"""Drives the page of correspondences: the command behind it, and a tab of a browser."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_MS = 20_000
"""How long the browser may take before a test fails."""


@contextlib.contextmanager
def serving(*words, environment=()):
    """Runs the command until the block ends; gives the process and the page's address."""
    with subprocess.Popen(
        [sys.executable, *map(str, words), "--serve", "--port", "0"],
        cwd=ROOT,
        env=os.environ | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            for line in process.stdout:
                if found := re.match(r"open (http://127\.0\.0\.1:\d+/) ", line):
                    yield process, found[1]
                    break
            else:
                pytest.fail(process.stderr.read())
        finally:
            process.kill()


def share_like(drawn, expected):
    """How much of two pictures is the same, up to rounding."""
    return (np.abs(drawn - expected.astype(int)).max(-1) <= 3).mean()


class Page:
    """A page that was opened, with what it asked for and complained about."""

    def __init__(self, browser, address, **settings):
        self.tab = browser.new_page(viewport={"width": 1280, "height": 800}, **settings)
        self.tab.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.asked, self.complaints = [], []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("console", lambda line: self.complaints.append(line.text))
        self.tab.goto(address)
        self.source, self.target, self.status, self.error = (
            self.tab.locator(f"#{name}") for name in ("source", "target", "status", "error")
        )

    def ready(self):
        expect(self.status).to_contain_text("Pick something")
        return self

    def at(self, x, y):
        """Where a pixel of the source is in the window."""
        box, size = self.source.bounding_box(), self.source.evaluate("c => [c.width, c.height]")
        scale = box["width"] / size[0]
        return box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale

    def click(self, x, y):
        self.tab.mouse.click(*self.at(x, y))

    def strongest(self):
        """What the status says of the strongest place, after it changed to such a text."""
        expect(self.status).to_contain_text(re.compile(r"^Strongest at \d+, \d+ · \d"))
        return tuple(map(int, re.findall(r"\d+", self.status.text_content())[:2]))

    def seconds(self):
        """How long the last answer took, as the page says."""
        return float(self.status.text_content().split("·")[1].removesuffix("s"))

    def pixels(self, name="target"):
        """What a canvas shows: int [h, w, 3]."""
        rgba, size = self.tab.locator(f"#{name}").evaluate(
            "c => [Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data), "
            "[c.height, c.width]]"
        )
        return np.array(rgba).reshape(*size, 4)[..., :3]

    def comes_to_show(self, expected, share=0.95):
        """Whether the target canvas shows such a picture, now or soon."""
        last = time.perf_counter() + PATIENCE_MS / 1000
        while share_like(self.pixels(), expected) < share:
            if time.perf_counter() > last:
                return False
            self.tab.wait_for_timeout(50)
        return True

    def uploads(self, side, path):
        self.tab.locator(f"#{side}_file").set_input_files(path)
        expect(self.tab.locator("#busy")).to_be_hidden()
