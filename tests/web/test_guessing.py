"""Guessing passwords: a name waits at the address that the wrong ones came from, also behind proxies; no name is too odd."""

from typing import Any

import pytest
from axes.helpers import get_client_ip_address
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/accounts/login/", "/admin/login/"])
@pytest.mark.parametrize(("language", "words"), [("en", "Too many wrong passwords."), ("ar", "محاولات كثيرة بكلمة مرور خاطئة.")])
def test_guessing_is_stopped(address: str, language: str, words: str) -> None:
    """After five wrong passwords even the right one has to wait; others, and the same name elsewhere, do not."""
    for name in ("omar", "sara"):
        get_user_model().objects.create_user(name, "", "known", is_staff=True)
    client = Client()
    client.cookies["django_language"] = language

    def enter(name: str, password: str, **extra: Any) -> Any:
        return client.post(address, {"username": name, "password": password, "next": "/"}, **extra)

    assert [enter("omar", "guess").status_code for _ in range(5)] == [200] * 4 + [429]
    answer = enter("omar", "known")
    assert answer.status_code == 429
    assert words in answer.content.decode()
    assert enter("omar", "known", REMOTE_ADDR="10.9.8.7").status_code == 302
    client.logout()
    assert enter("sara", "known").status_code == 302


@pytest.mark.parametrize("address", ["/accounts/login/", "/admin/login/"])
@pytest.mark.parametrize("name", ["x" * 255, "x" * 256, "x" * 100_000, "a\0b", "\0", "", "\u202e" * 300])
def test_no_name_at_the_login_is_too_odd(address: str, name: str) -> None:
    """Without an account: the wrong name is refused, and noted with whatever else came along."""
    odd = {"HTTP_USER_AGENT": "\0" + "u" * 2_000, "HTTP_ACCEPT": "a" * 2_000 + "\0"}
    for _ in range(4):
        answer = Client().post(f"{address}?next=%00{'n' * 2_000}", {"username": name, "password": "p" * 5_000, "more": "\0"}, **odd)
        assert answer.status_code == 200
    right = Client().post(address, {"username": name, "password": "known"}, **odd)
    assert right.status_code == (200 if "\0" in name or not name else 429), "the fifth time is one too many for a long name too"


@pytest.mark.parametrize("address", ["/accounts/login/", "/admin/login/"])
def test_behind_proxies_nobody_locks_out_another(address: str, settings: Any) -> None:
    """What a visitor writes into X-Forwarded-For himself stands to the left of what the proxies add."""
    get_user_model().objects.create_user("omar", "", "known", is_staff=True)

    def enter(password: str, forwarded: str) -> int:
        sent = {"username": "omar", "password": password, "next": "/"}
        return Client().post(address, sent, REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=forwarded).status_code

    settings.PROXY_COUNT = 2
    guesses = [enter("guess", f"203.0.113.{number}, 198.51.100.66, 10.0.0.1") for number in range(5)]
    assert guesses == [200] * 4 + [429], "another address of his own invention is of no use"
    assert enter("known", "203.0.113.7, 10.0.0.1") == 302


@pytest.mark.parametrize("proxies", [0, 1])
def test_many_addresses_of_one_ipv6_network_are_one(proxies: int, settings: Any) -> None:
    """Whoever has one of them has as many as he likes."""
    get_user_model().objects.create_user("omar", "", "known")
    settings.PROXY_COUNT = proxies

    def enter(password: str, address: str) -> int:
        sent = {"username": "omar", "password": password}
        more = {"HTTP_X_FORWARDED_FOR": address} if proxies else {"REMOTE_ADDR": address}
        return Client().post("/accounts/login/", sent, **more).status_code

    assert [enter("guess", f"2001:db8:1:2:{number}::7") for number in range(5)] == [200] * 4 + [429]
    assert enter("known", "2001:db8:1:2:ffff::1") == 429
    assert enter("known", "2001:db8:1:3::1") == 302


@pytest.mark.parametrize(
    ("count", "forwarded", "found"),
    [
        (0, "203.0.113.7", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "192.0.2.9, 203.0.113.7", "203.0.113.7"),
        (2, "192.0.2.9,203.0.113.7", "192.0.2.9"),
        (3, "192.0.2.9, 203.0.113.7", "127.0.0.1"),
        (-1, "203.0.113.7", "127.0.0.1"),
        (1, "203.0.113.7:50000", "203.0.113.7"),
        (1, "[2001:DB8::1]:50000", "2001:db8::"),
        (1, "2001:db8::1", "2001:db8::"),
        (1, "fe80::1%eth0", "fe80::"),
        (1, "::ffff:203.0.113.7", "203.0.113.7"),
        (1, "unknown", "127.0.0.1"),
        (1, "203.0.113.7\0", "127.0.0.1"),
    ],
)
def test_the_address_that_the_outermost_proxy_saw(count: int, forwarded: str, found: str, settings: Any) -> None:
    settings.PROXY_COUNT = count
    request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert get_client_ip_address(request) == found
