"""What a live part keeps for others: nothing of the person it was written for, and nothing for longer than a second."""

import gzip
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client

from jobs.models import Batch, Job
from jobs.web import live
from tests.browser.scene import played
from tests.rows import job_in
from tests.waiting import until

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}
VOID = ("input", "meter", "use", "rect", "br", "wbr", "img")  # what has no end


@pytest.fixture(autouse=True)
def long_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take more than a second between two requests."""
    monkeypatch.setattr(live, "KEPT", 60.0)
    monkeypatch.setattr(live, "KNOWN", 60.0)


def client_of(name: str, *rights: str, language: str = "en") -> Client:
    user = get_user_model().objects.create_user(name, "", "x")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_job", *rights]))
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = language
    return client


def part(client: Client, address: str) -> str:
    answer = client.get(address, headers=HX)
    assert answer.status_code == 200
    return str(answer.content.decode())


def addresses() -> dict[str, str]:
    job = job_in("pending")
    batch = Batch.objects.create(verb="cancel", actor="x", source="page", ids=[job.pk], total=1, options={}, state="running", reasons={})
    return {"list": "/jobs/", "job": f"/jobs/{job.pk}/", "batch": f"/jobs/batches/{batch.pk}/"}


def test_another_viewer_with_the_same_rights_costs_no_reading(django_assert_max_num_queries: Callable[[int], Any]) -> None:
    first, second = client_of("sara", "control_job"), client_of("omar", "control_job")
    for address in addresses().values():
        text = part(first, address)
        with django_assert_max_num_queries(2):  # session, account with its rights
            assert len(part(second, address)) == len(text)


def test_each_form_has_the_token_of_the_one_who_looks() -> None:
    for name, address in addresses().items():
        tokens = []
        for person in ("sara", "omar"):
            client = client_of(f"{person}-{name}", "control_job")
            client.handler.enforce_csrf_checks = True
            client.get("/jobs/")  # sets the cookie
            text = part(client, address)
            assert live.place_of_token() not in text
            token = text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
            tokens.append(token)
            answer = client.post("/jobs/bulk/", {"csrfmiddlewaretoken": token, "verb": "cancel", "job": "1"})
            assert answer.status_code == 302, (name, person)
        assert tokens[0] != tokens[1]


def test_rights_and_languages_are_kept_apart() -> None:
    found = addresses()
    operator, viewer, arabic = client_of("o", "control_job"), client_of("v"), client_of("a", "control_job", language="ar")
    for address in (found["job"], found["batch"], found["list"]):
        assert "<form" in part(operator, address)
    assert "Cancel the job" in part(operator, found["job"])
    assert "Cancel the job" not in part(viewer, found["job"])
    assert "Stop the rest" in part(operator, found["batch"])
    assert "Stop the rest" not in part(viewer, found["batch"])
    assert "Cancel the job" not in part(arabic, found["job"])
    assert "إلغاء المهمة" in part(arabic, found["job"])
    arabic.cookies["timezone"] = "Asia/Riyadh"
    for _ in range(2):  # the second one as it was kept
        told = arabic.get(found["job"], headers=HX).headers
        assert (told["Content-Language"], told["Time-Zone"]) == ("ar", "Asia/Riyadh")


def test_who_looks_is_asked_once_for_all_his_pages(django_assert_num_queries: Callable[[int], Any]) -> None:
    client, other = client_of("sara"), client_of("omar")
    for person in (client, other):
        person.get("/jobs/")  # sets the cookie of the token
    first = client.get("/jobs/", headers=HX)
    part(other, "/")
    part(other, "/?hours=24")
    with django_assert_num_queries(0):
        assert part(client, "/jobs/") == first.content.decode()
        assert part(client, "/") == part(other, "/")
        assert len(part(other, "/jobs/")) == len(part(client, "/jobs/"))  # but for the tokens in its forms
    answer = client.get("/jobs/", headers=HX)
    assert answer.headers == first.headers
    assert "Content-Security-Policy" in answer.headers
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_what_is_kept_can_be_read_where_answers_are_compressed(settings: Any) -> None:
    """By Django's middleware; a proxy too makes the tag of what it compresses a weak one."""
    settings.MIDDLEWARE = [settings.MIDDLEWARE[0], "django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE[1:]]
    client = client_of("sara")
    client.get("/jobs/")  # sets the cookie of the token
    texts = []
    for _ in range(2):
        answer = client.get("/jobs/", headers=HX | {"Accept-Encoding": "gzip"})
        texts.append(gzip.decompress(answer.content) if "Content-Encoding" in answer.headers else answer.content)
    assert texts[0] == texts[1]
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert client.get("/jobs/", headers=HX | {"If-None-Match": f"W/{answer.headers['ETag']}"}).status_code == 204


def test_a_right_that_is_taken_away_and_a_logout_are_felt_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while others keep the part fresh."""
    monkeypatch.setattr(live, "KNOWN", 0.5)
    for what in ("right", "account", "session"):
        client, other = client_of(f"a-{what}"), client_of(f"b-{what}")
        for person in (client, other):
            person.get("/jobs/")
            part(person, "/jobs/")
        user = get_user_model().objects.get(username=f"a-{what}")
        if what == "right":
            user.user_permissions.clear()
        elif what == "account":
            get_user_model().objects.filter(pk=user.pk).update(is_active=False)
        else:
            client.session.flush()

        def refused(client: Client = client, other: Client = other) -> bool:
            part(other, "/jobs/")
            return client.get("/jobs/", headers=HX).status_code in (302, 403)

        until(refused, timeout=10)


def test_what_has_not_changed_is_not_sent_again() -> None:
    client = client_of("sara", "control_job")
    client.get("/jobs/")
    for _ in range(2):
        answer = client.get("/jobs/", headers=HX)
        again = client.get("/jobs/", headers=HX | {"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content, again.headers["ETag"]) == (204, b"", answer.headers["ETag"])
    cache.clear()
    assert client.get("/jobs/", headers=HX | {"If-None-Match": answer.headers["ETag"]}).status_code == 204
    job_in("pending", name="brand new")
    cache.clear()
    changed = client.get("/jobs/", headers=HX | {"If-None-Match": answer.headers["ETag"]})
    assert "brand new" in changed.content.decode()
    assert changed.headers["ETag"] != answer.headers["ETag"]


def test_nobody_else_gets_what_was_kept() -> None:
    client = client_of("sara")
    client.get("/jobs/")
    part(client, "/jobs/")
    assert Client().get("/jobs/", headers=HX).status_code == 302
    forged = Client()
    forged.cookies["sessionid"] = "x"
    assert forged.get("/jobs/", headers=HX).status_code == 302
    part(client, "/")
    nobody = client_of("nobody")
    nobody.cookies["sessionid"] = "y"
    assert nobody.get("/", headers=HX).status_code == 302


def test_a_page_is_never_kept_whole(django_assert_num_queries: Callable[[int], Any]) -> None:
    client = client_of("sara")
    client.get("/jobs/")
    job_in("pending", name="brand new")
    assert "brand new" in client.get("/jobs/").content.decode()


def test_what_is_kept_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEPT", 0.01)
    client = client_of("sara")
    job = job_in("pending", name="first name")
    assert "first name" in part(client, "/jobs/")
    Job.objects.filter(pk=job.pk).update(name="second name")

    def renewed() -> bool:
        return "second name" in part(client, "/jobs/")

    until(renewed, timeout=10)


def test_a_missing_job_is_not_found_by_htmx_either() -> None:
    assert client_of("sara").get("/jobs/987654/", headers=HX).status_code == 404
    assert client_of("omar").get("/jobs/batches/987654/", headers=HX).status_code == 404


def test_what_takes_long_to_read_is_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float] = []
    monkeypatch.setattr(live, "KEPT", 1.0)
    monkeypatch.setattr(live.cache, "set", lambda key, value, seconds: kept.append(seconds))
    for took, wanted in ((0.001, 1.0), (0.02, 2.0), (9.0, live.MOST)):
        moments = iter((100.0, 100.0 + took))
        monkeypatch.setattr(live, "perf_counter", lambda moments=moments: next(moments))
        assert live.reading(f"key-{took}", lambda: "read") == "read"
        assert kept[-1] == pytest.approx(wanted)


def test_those_who_come_while_one_reads_wait_for_his_reading() -> None:
    begun, go, read = threading.Event(), threading.Event(), []

    def reading() -> str:
        read.append(1)
        begun.set()
        assert go.wait(20)
        return "read"

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(live.reading, "key-turns", reading)
        assert begun.wait(20)
        others = [threads.submit(live.reading, "key-turns", reading) for _ in range(3)]
        go.set()
        assert {one.result(20) for one in (first, *others)} == {"read"}
    assert len(read) == 1


class Focusable(HTMLParser):
    """The ids of everything that can have the focus; "" for what has none."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.kept = 0  # depth within what htmx keeps as it is

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        given = dict(pairs)
        self.kept += 1 if self.kept and tag not in VOID else 0
        if "hx-preserve" in given and tag not in VOID:
            self.kept = 1
        able = tag in ("button", "select", "textarea", "summary") or (tag == "a" and "href" in given) or "tabindex" in given
        able = able or (tag == "input" and given.get("type") != "hidden")
        if able and "disabled" not in given and (not self.kept or "hx-preserve" in given):
            self.ids.append(given.get("id") or "")

    def handle_endtag(self, tag: str) -> None:
        self.kept -= 1 if self.kept else 0


def test_whatever_has_the_focus_in_a_live_part_is_found_again_by_its_id() -> None:
    client = client_of("sara", "control_job", "add_job", "delete_job", "triage_deadletterqueue", "operate_worker")
    with played() as jobs:
        batches = Batch.objects.exclude(state="draft").values_list("pk", flat=True)
        parts = [
            "/", "/jobs/", "/jobs/?status=failed", "/jobs/?q=nobody", "/jobs/workers/", "/jobs/queues/",
            *(f"/jobs/{number}/" for number in jobs.values()), *(f"/jobs/batches/{number}/" for number in batches),
        ]  # fmt: skip
        for address in parts:
            found = Focusable()
            found.feed(part(client, address))
            twice = [id for id, number in Counter(found.ids).items() if number > 1 or not id]
            assert (twice, len(found.ids) > 0) == ([], True), address


def test_who_is_yet_to_be_told_a_cookie_is_told_it_again() -> None:
    """A browser that has not taken it asks with the same cookies as before."""
    client = client_of("sara", "control_job")
    for _ in range(2):
        client.cookies.pop("csrftoken", None)
        assert "csrftoken" in client.get("/jobs/", headers=HX).cookies
