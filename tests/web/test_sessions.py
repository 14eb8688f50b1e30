"""The table of sessions holds those that are open, not each login that there ever was."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/accounts/login/", "/admin/login/"])
def test_a_login_takes_away_the_sessions_that_have_ended(address: str) -> None:
    get_user_model().objects.create_user("omar", "", "known", is_staff=True)

    def enter() -> Any:
        client = Client()
        assert client.post(address, {"username": "omar", "password": "known", "next": "/"}).status_code == 302
        return client

    kept = [enter() for _ in range(2)]
    keys = {client.session.session_key for client in kept}
    assert set(Session.objects.values_list("pk", flat=True)) == keys
    ended = keys.pop()
    Session.objects.filter(pk=ended).update(expire_date=timezone.now() - timedelta(seconds=1))
    new = enter()
    assert set(Session.objects.values_list("pk", flat=True)) == {*keys, new.session.session_key}
