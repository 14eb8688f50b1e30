"""PostgreSQL answers and refuses what workers write: every page says so, as long as it lasts."""

import io
import json
import re
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone, translation

from jobs.store import broker, readiness, refused, sender
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
SAID = "could not extend file: 100% of <it>, No space left on device"


def alerts(client: Client, address: str = "/") -> list[tuple[str, str]]:
    """Each fact with its remedy."""
    text = client.get(address, headers={"HX-Request": "true"}).content.decode()
    return re.findall(r'<p><strong>(.*?)</strong></p><p class="alert-do">(.*?)</p>', text)


@pytest.mark.parametrize("address", ["/", "/jobs/workers/"])
def test_what_it_refuses_and_what_to_do(sara: Client, worker: int, leader: None, address: str) -> None:
    """All seemed to be well: what the pages ask is answered."""
    refused.note(SAID, 7200, all_writes=True)
    ((fact, remedy),) = alerts(sara, address)
    told = r"PostgreSQL has been refusing what workers write since .*\d\d:\d\d: .*could not extend file: 100% of &lt;it&gt;, No space left"
    assert re.match(told, fact)
    assert "disk space" in remedy
    if address == "/":
        assert re.search(r"PostgreSQL</bdi><span[^>]*>: does not work", sara.get("/").content.decode())
    answer = Client(headers={"accept-language": "en"}).get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, [f"PostgreSQL refuses what workers write: {SAID}"])


@pytest.mark.parametrize("address", ["/", "/jobs/workers/"])
def test_a_server_that_takes_no_writes_at_all(sara: Client, worker: int, leader: None, address: str) -> None:
    """A standby, say: no worker has met it as long as none has anything to write."""
    refused.note("cannot execute UPDATE in a read-only transaction", 60, all_writes=True)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            ((fact, remedy),) = alerts(sara, address)
            page = sara.get("/").content.decode()
        finally:
            cursor.execute("RESET default_transaction_read_only")
    assert fact == "PostgreSQL is not accepting writes (read-only)."
    assert "DATABASE_URL" in remedy
    assert re.search(r"PostgreSQL</bdi><span[^>]*>: does not work", page)


def test_it_is_told_since_the_first_time_and_no_longer_than_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    refused.note("no rights", 100, all_writes=True)
    refused.note("no room", 5, all_writes=True)
    found = refused.newest()
    assert found
    assert found.reason == "no room"
    assert 100 <= (timezone.now() - found.since).total_seconds() < 130
    monkeypatch.setattr(refused, "FRESH", 0.05)
    refused.note("no room", 5, all_writes=True)
    until(lambda: refused.newest() is None, timeout=5, what="nobody says so any more")


@pytest.mark.parametrize("value", ["what", "5", "[1]", '["a", "b"]', "null", '{"a": 1}', None])
def test_what_somebody_else_puts_into_its_place_breaks_nothing(sara: Client, worker: int, leader: None, value: Any) -> None:
    client = broker.kept(refused.TIMEOUT_S)
    if value is None:
        client.rpush(refused._key(True), 1)
        client.pexpire(refused._key(True), 60_000)
    else:
        client.set(refused._key(True), value, px=60_000)
    assert alerts(sara) == readiness.reasons() == []
    refused.note(SAID, 5, all_writes=True)


def test_what_a_trigger_refuses_of_some_rows_takes_no_web_server_out_of_service(sara: Client, worker: int, leader: None) -> None:
    refused.note("not today", 60, all_writes=False)
    ((fact, _),) = alerts(sara)
    assert "not today" in fact
    assert Client().get("/readyz").status_code == 200


def test_manage_py_jobs_says_it_too() -> None:
    def said(**options: Any) -> str:
        out = io.StringIO()
        with translation.override("en"):
            call_command("jobs", stdout=out, **options)
        return out.getvalue()

    assert json.loads(said(json=True))["refused_writes"] is None
    refused.note("no room\x1b[31m", 60, all_writes=True)
    assert "PostgreSQL refuses what workers write: no room\\x1b[31m" in said()
    assert json.loads(said(json=True))["refused_writes"]["reason"] == "no room\x1b[31m"


def test_a_table_of_migrations_that_may_not_be_read_lacks_none(sara: Client, worker: int, leader: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE looks_on; GRANT SELECT ON ALL TABLES IN SCHEMA public TO looks_on")
        cursor.execute("REVOKE SELECT ON django_migrations FROM looks_on; SET ROLE looks_on")
        try:
            ((fact, remedy),) = alerts(sara)
        finally:
            cursor.execute("RESET ROLE; DROP OWNED BY looks_on; DROP ROLE looks_on")
    assert "which migrations are applied" in fact
    assert "GRANT SELECT ON django_migrations" in remedy


@pytest.mark.parametrize("address", ["/", "/jobs/workers/"])
def test_a_leader_that_sends_through_another_redis_is_told(
    sara: Client, worker: int, leader: None, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    client = broker.client(settings.CELERY_BROKER_URL)
    client.delete(sender.key())
    assert readiness.reasons() == [], "it may have been elected just now"
    monkeypatch.setattr(sender, "PATIENCE", 0.0)
    ((fact, remedy),) = alerts(sara, address)
    assert ("through a different Redis" in fact, "REDIS_URL" in remedy) == (True, True)
    answer = Client(headers={"accept-language": "en"}).get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [
        "The leader sends jobs through a different Redis from this process: compare REDIS_URL and JOBS_KEY_PREFIX."
    ]
    with connection.cursor() as cursor:
        cursor.execute(sender.WHO)
        client.set(sender.key(), cursor.fetchone()[0], ex=60)
    assert readiness.reasons() == []
    client.delete(sender.key())
