"""The system's chromium, driven by Playwright."""

import shutil
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser on the machine these tests cannot run, and say so."""
    for item in items:
        if CHROMIUM is None and "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason="no chromium on PATH"))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": CHROMIUM, "args": FLAGS}
