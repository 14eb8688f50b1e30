"""A page that fails says so, with a number that the log has too, and nothing of the error; what is refused says how to go on."""

import logging
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection, transaction
from django.test import Client

from jobs import __version__
from jobs.models import DeadLetterQueue, Job
from jobs.store import letters, stats
from jobs.web.views import errors
from tests.rows import job_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize(("error", "status"), [(ValueError("the secret word"), 500), (OperationalError("the secret word"), 503)])
@pytest.mark.parametrize("language", ["ar", "en"])
def test_an_error_has_a_number_and_no_traceback(
    staff: Client, monkeypatch: pytest.MonkeyPatch, caplog: Any, language: str, error: Exception, status: int
) -> None:
    def broken() -> None:
        raise error

    staff.cookies["django_language"] = language
    monkeypatch.setattr(stats, "workers", broken)
    with caplog.at_level(logging.ERROR):
        answer = staff.get("/jobs/workers/")
    content = answer.content.decode()
    assert answer.status_code == status
    assert ("PostgreSQL" in content) == (status == 503)
    assert f'lang="{language}"' in content
    assert "secret word" not in content
    assert "Traceback" not in content
    number = re.search(r"<bdi class=\"mono\" dir=\"ltr\">([0-9a-f]{8})</bdi>", content)
    assert number
    assert number[1] in caplog.text


def test_an_address_writes_no_lines_of_its_own_into_the_log(staff: Client, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(letters, "arranged", lambda _fingerprint: 1 / 0)
    job_in("failed")
    DeadLetterQueue.objects.update(fingerprint="x\nCRITICAL all is lost")
    with caplog.at_level(logging.ERROR):
        assert staff.get("/jobs/dead-letters/group/x%0ACRITICAL%20all%20is%20lost/").status_code == 500
    [said] = [record.getMessage() for record in caplog.records if record.name == errors.__name__]
    assert "group/x\\nCRITICAL all is lost/" in said


@pytest.mark.parametrize(("language", "words"), [("ar", "لا يقبل PostgreSQL الكتابة الآن."), ("en", "PostgreSQL is not accepting writes.")])
def test_a_form_that_a_read_only_database_does_not_take_says_so(staff: Client, language: str, words: str) -> None:
    staff.cookies["django_language"] = language
    job = job_in("pending")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL transaction_read_only = on")
        answer = staff.post(f"/jobs/{job.pk}/priority/", {"priority": "7"})
        transaction.set_rollback(True)
    content = answer.content.decode()
    assert answer.status_code == 503
    assert f"<h1>{words}</h1>" in content
    assert {"en": "Go back in your browser", "ar": "ارجع في المتصفح"}[language] in content
    assert Job.objects.get().priority != 7


@pytest.mark.parametrize(("language", "words"), [("ar", "انتهت صلاحية هذا النموذج"), ("en", "This form has expired")])
def test_a_form_of_an_earlier_login_says_so_and_leads_to_a_new_one(language: str, words: str) -> None:
    sara = get_user_model().objects.create_superuser("sara", "", "x")
    browser = Client(enforce_csrf_checks=True)
    browser.cookies["django_language"] = language
    browser.force_login(sara)
    page = "/jobs/create/?task=jobs.tasks.sleep&x=1"
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(page).content.decode())[-1]
    browser.post("/accounts/logout/", {"csrfmiddlewaretoken": token})
    del browser.cookies["csrftoken"]  # each login has its own
    browser.force_login(sara)
    browser.get("/jobs/")
    answer = browser.post("/jobs/create/", {"csrfmiddlewaretoken": token}, headers={"Referer": f"http://testserver{page}"})
    content = answer.content.decode()
    assert answer.status_code == 403
    assert f"<h1>{words}</h1>" in content
    assert f'lang="{language}"' in content
    assert "DEBUG" not in content
    assert 'href="/jobs/create/?task=jobs.tasks.sleep&amp;x=1"' in content
    assert not Job.objects.exists()


def test_a_login_without_cookies_says_so() -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies["django_language"] = "en"
    for door in ("/accounts/login/", "/admin/login/"):
        answer = strict.post(door, {"username": "sara", "password": "x"})
        assert answer.status_code == 403
        assert "the browser does not keep cookies" in answer.content.decode()


@pytest.mark.parametrize(
    ("address", "words", "way"),
    [
        ("/jobs/workers/1/", "the worker has stopped", "/jobs/workers/"),
        ("/jobs/workers/1/drain/", "the worker has stopped", "/jobs/workers/"),
        ("/jobs/batches/1/", "the bulk action ended long ago", "/jobs/batches/"),
        ("/jobs/dead-letters/group/0123/", "all jobs with this error were pruned", "/jobs/dead-letters/"),
        ("/jobs/1/", "the job ended long ago and was pruned", "/jobs/"),
        ("post /jobs/1/restore/", "the job ended long ago and was pruned", "/jobs/"),
        ("/jobs/create/?from=1", "the job ended long ago and was pruned", "/jobs/"),
        ("/no-such-page/", "The address is wrong.", "/jobs/"),
        ("/admin/nothing/", "The address is wrong.", "/jobs/"),
    ],
)
def test_what_is_not_there_says_what_may_have_become_of_it(sara: Client, address: str, words: str, way: str) -> None:
    method, _space, path = address.rpartition(" ")
    answer = getattr(sara, method or "get")(path)
    content = answer.content.decode().split("<main")[1]
    assert answer.status_code == 404
    assert words in content
    assert ("pruned" in content) == ("worker" not in address and "no" not in address)
    assert f'<a class="btn btn-main" href="{way}">' in content


def test_an_act_on_a_worker_that_has_ended_says_so(sara: Client) -> None:
    answer = sara.post("/jobs/workers/1/shutdown/", {"reason": ""})
    assert answer.status_code == 404
    assert "the worker has stopped" in answer.content.decode()


def test_an_account_without_rights_is_shown_nothing_that_it_may_not_see(client: Client) -> None:
    job_in("failed")
    guest = get_user_model().objects.create_user("guest", "", "x")
    client.force_login(guest)
    client.cookies["django_language"] = "en"
    for address, status in (("/", 403), ("/jobs/", 403), ("/no-such-page/", 404)):
        answer = client.get(address)
        page = answer.content.decode()
        assert answer.status_code == status
        assert "pill-bad" not in page, address
        assert re.findall(r'<a [^>]*href="/jobs/[^"]*"', page) == [], address
        assert "Log out" in page
    guest.user_permissions.add(Permission.objects.get(codename="add_job"))
    assert re.findall(r'<a [^>]*href="(/jobs/[^"]*)"', client.get("/jobs/").content.decode()) == ["/jobs/create/"]
    guest.user_permissions.add(Permission.objects.get(codename="view_job"))
    assert '<bdi class="pill pill-bad" dir="ltr">1</bdi>' in client.get("/jobs/").content.decode()


def test_a_refusal_of_the_admin_says_the_zone_and_the_version(client: Client) -> None:
    client.force_login(get_user_model().objects.create_user("guest", "", "x", is_staff=True))
    client.cookies["timezone"] = "Asia/Kolkata"
    answer = client.get("/admin/jobs/job/")
    assert answer.status_code == 403
    assert '<bdi dir="ltr">Asia/Kolkata</bdi>' in answer.content.decode()
    assert f"jobs {__version__}" in answer.content.decode()


@pytest.mark.parametrize(
    ("language", "words"), [("ar", "لا يقبل هذا العنوان طلبًا كهذا"), ("en", "This address does not accept that request")]
)
def test_what_an_address_does_not_take_is_refused_by_a_page(staff: Client, language: str, words: str) -> None:
    staff.cookies["django_language"] = language
    for method, address in (("post", "/jobs/types/"), ("put", "/jobs/create/"), ("delete", "/jobs/1/cancel/")):
        answer = getattr(staff, method)(address)
        assert (answer.status_code, "Allow" in answer.headers) == (405, True)
        assert f"<h1>{words}</h1>" in answer.content.decode()
        assert f'href="{address}"' in answer.content.decode()


@pytest.mark.parametrize(
    ("language", "words"), [("ar", "لا يجيب هذا الخادم على هذا الاسم"), ("en", "This server does not answer to that name")]
)
def test_a_wrong_host_is_refused_in_the_visitors_language(client: Client, settings: Any, language: str, words: str) -> None:
    settings.ALLOWED_HOSTS, settings.DEBUG = ["localhost"], False
    for address in ("/", "/jobs/", "/admin/"):
        answer = client.get(address, headers={"host": "evil.example", "accept-language": language})
        assert answer.status_code == 400
        assert f"<h1>{words}</h1>" in answer.content.decode()
        assert "evil.example" not in answer.content.decode()
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    refused = client.post("/accounts/login/", {"a": 1, "b": 2}, headers={"host": "localhost", "accept-language": "en"})
    assert (refused.status_code, "Nothing was changed." in refused.content.decode()) == (400, True)
