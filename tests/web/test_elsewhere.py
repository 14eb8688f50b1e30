"""The desk among the addresses of another project, which may lack some, and have others."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.views import LoginView, LogoutView
from django.test import Client
from django.urls import clear_url_caches, include, path

from jobs.models import Preference

pytestmark = pytest.mark.django_db
DESK = path("desk/", include("jobs.web.urls"))
LOGIN = path("accounts/login/", LoginView.as_view(template_name="jobs/login.html"))
OUT = path("out/", LogoutView.as_view(), name="logout")
ALLAUTH = path("allauth/out/", LogoutView.as_view(), name="account_logout")
ADMIN = path("backoffice/", admin.site.urls)
urlpatterns: list[Any] = []


@pytest.fixture
def elsewhere(settings: Any) -> Iterator[list[Any]]:
    """The addresses of the other project, to be filled before the first request."""
    settings.ROOT_URLCONF = __name__
    urlpatterns[:] = [DESK, LOGIN]
    clear_url_caches()
    yield urlpatterns
    clear_url_caches()


@pytest.mark.parametrize(
    ("more", "out"),
    [
        ([OUT, ALLAUTH, ADMIN], "/out/"),
        ([ALLAUTH, ADMIN], "/allauth/out/"),
        ([ADMIN], "/backoffice/logout/"),
        ([], None),
    ],
)
def test_the_desk_finds_the_address_to_log_out(elsewhere: list[Any], sara: Client, more: list[Any], out: str | None) -> None:
    elsewhere.extend(more)
    page = sara.get("/desk/").content.decode()
    assert re.findall(r'action="([^"]*out/)"', page) == ([out] if out else [])
    assert ('href="/backoffice/"' in page) is (ADMIN in more)
    if out:
        sara.post(out)
        assert sara.get("/desk/").status_code == 302


def test_one_without_the_admin_is_not_led_to_its_logout(elsewhere: list[Any], client: Client) -> None:
    elsewhere.append(ADMIN)
    viewer = get_user_model().objects.create_user("viewer")
    client.force_login(viewer)
    assert "/backoffice/" not in client.get("/desk/preferences/", follow=True).content.decode()


@pytest.mark.parametrize("guard", ["jobs.web.access.LoginRequired", "django.contrib.auth.middleware.LoginRequiredMiddleware"])
def test_the_language_changes_before_the_login_and_goes_along_after_it(
    elsewhere: list[Any], settings: Any, sara: Client, guard: str
) -> None:
    settings.MIDDLEWARE = [*(name for name in settings.MIDDLEWARE if "LoginRequired" not in name), guard]
    stranger = Client()
    stranger.cookies["django_language"] = "en"
    for person, page in ((stranger, "/accounts/login/"), (sara, "/desk/")):
        content = person.get(page).content.decode()
        found = re.search(r'<form method="post" action="([^"]+)"><[^>]+><input type="hidden" name="next" value="([^"]+)">', content)
        assert found is not None
        person.post(found[1], {"next": found[2], "language": "ar"})
        assert '<html lang="ar"' in person.get(page).content.decode()
    assert Preference.objects.get().language == "ar"
