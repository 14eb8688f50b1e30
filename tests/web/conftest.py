"""Pages keep some readings for a second: each test begins without those of the one before."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    cache.clear()
