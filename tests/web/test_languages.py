"""The button for the other language, in a project that has other languages than this one."""

import re

import pytest
from django.test import Client, override_settings
from django.urls import reverse

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"
HERE = [("ar", "العربية"), ("en", "English")]
GULF = [("ar-eg", "العربية"), ("en-gb", "English")]
NORTH = [("de", "Deutsch"), ("en", "English")]
ALL = [("de", "Deutsch"), ("en-us", "English"), ("ar-sa", "العربية")]


@pytest.mark.parametrize(
    ("languages", "now", "offered"),
    [
        (HERE, "ar", "en"),
        (HERE, "en", "ar"),
        (GULF, "ar-eg", "en-gb"),
        (GULF, "en-gb", "ar-eg"),
        (NORTH, "de", "en"),
        (NORTH, "en", None),
        (ALL, "de", "ar-sa"),
        (ALL, "en-us", "ar-sa"),
        (ALL, "ar-sa", "en-us"),
        ([("de", "Deutsch")], "de", None),
    ],
)
def test_the_other_language_that_the_project_has_is_offered(languages: list[tuple[str, str]], now: str, offered: str | None) -> None:
    with override_settings(LANGUAGES=languages, LANGUAGE_CODE=languages[0][0]):
        client = Client()
        client.cookies["django_language"] = now
        page = client.get(LOGIN).content.decode()
        assert f'lang="{now}"' in page
        button = re.search(r'<button[^>]* name="language" value="([^"]+)" lang="([^"]+)">([^<]+)</button>', page)
        if offered is None:
            assert button is None
            assert "/language/" not in page
            return
        assert button is not None
        assert button.groups() == (offered, offered, "العربية" if offered.startswith("ar") else "English")
        client.post("/language/", {"language": button[1], "next": LOGIN})
        assert f'<html lang="{offered}"' in client.get(LOGIN).content.decode()


def test_the_address_that_djangos_apps_know_switches_too(client: Client) -> None:
    answer = client.post(reverse("set_language"), {"language": "en", "next": "/accounts/login/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/")
    assert client.cookies["django_language"].value == "en"
