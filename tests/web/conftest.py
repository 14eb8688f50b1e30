"""Pages keep some readings for a second: each test begins without those of the one before."""

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    cache.clear()


@pytest.fixture
def sara(client: Client) -> Client:
    """A browser of somebody who may do all, in English."""
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    return client
