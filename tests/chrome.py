"""A real Chromium for the tests, and what a test without one says."""

import contextlib
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")
FLAGS = [
    "--no-sandbox",  # a container's root user cannot have one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = "no Chromium on PATH: install chromium"
needs_browser = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason=MISSING)]


@contextlib.contextmanager
def chromium():
    """A browser, for as long as it is needed; skips the test where there is none."""
    reason = "no playwright: pip install playwright"
    playwright_api = pytest.importorskip("playwright.sync_api", reason=reason)
    if not CHROMIUM:
        pytest.skip(MISSING)
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
