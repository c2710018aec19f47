"""Headless Chromium, for tests of pages; skipped where Playwright or Chromium is missing."""

import os
import shutil
import time

import pytest

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def find_chromium():
    """Return the path of Chromium; skip the test if there is none."""
    pytest.importorskip("playwright")
    names = (os.environ.get("POSENET_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    for name in names:
        if name and shutil.which(name):
            return shutil.which(name)
    pytest.skip("Chromium is not installed")


def start_chromium(playwright, *flags):
    """Start Chromium and return the browser."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *flags])


def wait_for(page, expression, seconds=20):
    """Wait until an expression is true. Playwright's own way is forbidden by the page's policy."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not true within {seconds} s: {expression}"
        page.wait_for_timeout(50)


def open_page(browser, address, **options):
    """Open a page and return it with the lists of its requests and of its errors."""
    page = browser.new_page(viewport={"width": 1200, "height": 800}, **options)
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: errors.append(message.text) if message.type == "error" else None,
    )
    page.goto(address)
    wait_for(page, "Boolean(window.posenet)")
    return page, requests, errors
