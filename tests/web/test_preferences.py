"""Language, time zone and theme go along with the account to another browser."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from jobs.models import Preference

pytestmark = pytest.mark.django_db


PAGES = ["/accounts/login/", "/admin/login/"]


def login(name: str = "sara", page: str = PAGES[0]) -> Client:
    client = Client()
    answer = client.post(page, {"username": name, "password": "secret"})
    assert answer.status_code == 302
    return client


@pytest.fixture
def sara() -> Client:
    get_user_model().objects.create_superuser("sara", "", "secret")
    get_user_model().objects.create_superuser("omar", "", "secret")
    return login()


def cookies(client: Client) -> dict[str, str]:
    return {name: client.cookies[name].value for name in ("theme", "timezone", "django_language") if name in client.cookies}


@pytest.mark.parametrize("page", PAGES)
def test_what_was_chosen_in_one_browser_is_there_in_another(sara: Client, page: str) -> None:
    sara.post("/preferences/", {"theme": "dark", "timezone": "Asia/Riyadh"})
    sara.post("/language/", {"language": "en"})
    elsewhere = login(page=page)
    assert cookies(elsewhere) == {"theme": "dark", "timezone": "Asia/Riyadh", "django_language": "en"}
    shown = elsewhere.get("/").content.decode()
    assert 'lang="en"' in shown
    assert "Asia/Riyadh" in shown
    assert cookies(login("omar", page)) == {}


@pytest.mark.parametrize("page", PAGES)
def test_a_wrong_password_brings_nothing(sara: Client, page: str) -> None:
    sara.post("/preferences/", {"theme": "dark"})
    stranger = Client()
    assert stranger.post(page, {"username": "sara", "password": "guessed"}).status_code == 200
    assert cookies(stranger) == {}


def test_the_last_choice_counts_and_nonsense_is_not_kept(sara: Client) -> None:
    sara.post("/preferences/", {"theme": "dark", "timezone": "Asia/Riyadh"})
    sara.post("/preferences/", {"theme": "light", "timezone": "Nowhere/At all"})
    sara.post("/language/", {"language": "xx"})
    assert Preference.objects.values_list("theme", "timezone", "language").get() == ("light", "Asia/Riyadh", "")


@pytest.mark.parametrize("code", ["en-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd", "en@" + "a" * 20, "en-gb", "ar-" + "x" * 600])
def test_a_language_that_the_project_does_not_offer_is_not_kept(sara: Client, code: str) -> None:
    sara.post("/language/", {"language": "ar"})
    assert sara.post("/language/", {"language": code}).status_code == 302
    assert Preference.objects.get().language == "ar"
    assert sara.get("/").status_code == 200


def test_who_is_not_logged_in_has_cookies_alone(sara: Client) -> None:
    stranger = Client()
    stranger.post("/preferences/", {"theme": "dark"})
    stranger.post("/language/", {"language": "en"})
    assert cookies(stranger) == {"theme": "dark", "django_language": "en"}
    assert not Preference.objects.exists()
