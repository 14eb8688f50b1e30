"""Language, time zone and theme go along with the account to another browser."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs.models import Preference

pytestmark = pytest.mark.django_db


def login(name: str = "sara") -> Client:
    client = Client()
    answer = client.post("/accounts/login/", {"username": name, "password": "secret"})
    assert answer.status_code == 302
    return client


@pytest.fixture
def sara() -> Client:
    get_user_model().objects.create_superuser("sara", "", "secret")
    get_user_model().objects.create_superuser("omar", "", "secret")
    return login()


def cookies(client: Client) -> dict[str, str]:
    return {name: client.cookies[name].value for name in ("theme", "timezone", "django_language") if name in client.cookies}


def test_what_was_chosen_in_one_browser_is_there_in_another(sara: Client) -> None:
    sara.post("/preferences/", {"theme": "dark", "timezone": "Asia/Riyadh"})
    sara.post("/i18n/setlang/", {"language": "en"})
    elsewhere = login()
    assert cookies(elsewhere) == {"theme": "dark", "timezone": "Asia/Riyadh", "django_language": "en"}
    page = elsewhere.get("/").content.decode()
    assert 'lang="en"' in page
    assert "Asia/Riyadh" in page
    assert cookies(login("omar")) == {}


def test_the_last_choice_counts_and_nonsense_is_not_kept(sara: Client) -> None:
    sara.post("/preferences/", {"theme": "dark", "timezone": "Asia/Riyadh"})
    sara.post("/preferences/", {"theme": "light", "timezone": "Nowhere/At all"})
    sara.post("/i18n/setlang/", {"language": "xx"})
    assert Preference.objects.values_list("theme", "timezone", "language").get() == ("light", "Asia/Riyadh", "")


def test_who_is_not_logged_in_has_cookies_alone(sara: Client) -> None:
    stranger = Client()
    stranger.post("/preferences/", {"theme": "dark"})
    stranger.post("/i18n/setlang/", {"language": "en"})
    assert cookies(stranger) == {"theme": "dark", "django_language": "en"}
    assert not Preference.objects.exists()
