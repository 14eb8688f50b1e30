"""Creating a job from the page: what is stored, and what bad input is answered."""

import ast
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import translation

from jobs.enqueueing import InvalidJob, enqueue
from jobs.models import Job
from jobs.store import queues

pytestmark = pytest.mark.django_db
GOOD = {
    "task": "jobs.tasks.sleep", "argument-seconds": "1", "name": "", "priority": "5",
    "max_retries": "3", "when": "now", "queue": "celery",
}  # fmt: skip


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    return client


def post(client: Client, **changes: Any) -> Any:
    page = client.get(f"/jobs/create/?task={GOOD['task']}").content.decode()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found
    return client.post("/jobs/create/", {**GOOD, "token": found[1], **changes})


def test_a_job_is_created_and_its_page_shown(staff: Client) -> None:
    answer = post(staff, name="تقرير", priority="9")
    job = Job.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/jobs/{job.id}/")
    assert (job.name, job.priority, job.kwargs, job.created_by and job.created_by.username) == ("تقرير", 9, {"seconds": 1.0}, "sara")


def test_what_will_happen_is_not_said_of_a_value_that_is_refused(staff: Client) -> None:
    staff.cookies["django_language"] = "en"
    answer = post(staff, queue="", max_retries="-4", priority="")
    page = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "it waits in \u2066celery\u2069" in page
    assert "it is retried up to 3 times" in page
    assert 'queue="celery",\n    priority=5,' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "10"), ("priority", "-1"), ("priority", "high"), ("max_retries", "-1"), ("max_retries", "many"),
        pytest.param("max_retries", "9" * 5_000, id="digits"),
        ("argument-seconds", "soon"), ("argument-seconds", ""), ("name", "x" * 10_000), ("name", "a\u202eb"), ("name", "a\0b"),
        ("queue", ""), ("queue", "a\0b"), ("when", "never"), ("task", "no.such.task"), ("token", "1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", ["ar", "en"])
def test_bad_input_is_answered_and_nothing_stored(staff: Client, field: str, value: str, language: str) -> None:
    staff.cookies["django_language"] = language
    answer = post(staff, **{field: value})
    assert answer.status_code in (404, 422)
    assert not Job.objects.exists()


@pytest.mark.parametrize("at", ["2001-01-01T00:00", "the day after", "9999999-01-01T00:00", ""])
def test_a_time_in_the_past_or_nonsense_is_an_error_on_its_field(staff: Client, at: str) -> None:
    answer = post(staff, when="at", at=at)
    assert answer.status_code == 422
    assert not Job.objects.exists()


def test_arguments_over_the_limit_name_the_setting(staff: Client, settings: Any) -> None:
    settings.JOBS_MAX_ARGUMENT_BYTES = 10
    answer = post(staff)
    assert answer.status_code == 422
    assert b"JOBS_MAX_ARGUMENT_BYTES" in answer.content
    assert not Job.objects.exists()


def test_the_same_form_sent_twice_makes_one_job(staff: Client) -> None:
    page = staff.get(f"/jobs/create/?task={GOOD['task']}").content.decode()
    token = re.findall(r'name="token" value="([^"]+)"', page)[0]
    answers = [staff.post("/jobs/create/", {**GOOD, "token": token}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    "setting", [{"SESSION_SAVE_EVERY_REQUEST": True}, {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}]
)
def test_the_same_form_sent_twice_makes_one_job_however_the_session_is_kept(client: Client, settings: Any, setting: dict[str, Any]) -> None:
    for name, value in setting.items():
        setattr(settings, name, value)
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    test_the_same_form_sent_twice_makes_one_job(client)


def test_a_form_that_was_changed_after_it_was_sent_makes_another_job(staff: Client) -> None:
    page = staff.get(f"/jobs/create/?task={GOOD['task']}").content.decode()
    token = re.findall(r'name="token" value="([^"]+)"', page)[0]

    def send(**changes: str) -> int:
        answer = staff.post("/jobs/create/", {**GOOD, "token": token, "csrfmiddlewaretoken": str(Job.objects.count()), **changes})
        assert answer.status_code == 302
        return Job.objects.latest("id").pk if changes.get("another") else int(answer.headers["Location"].split("/")[2])

    first, second = send(name="first"), send(name="second", **{"argument-seconds": "2"})
    assert list(Job.objects.order_by("id").values_list("id", "name", "kwargs")) == [
        (first, "first", {"seconds": 1.0}), (second, "second", {"seconds": 2.0}),
    ]  # fmt: skip
    assert send(name="first") == first
    assert send(name="second", another="1", **{"argument-seconds": "2"}) == second
    assert Job.objects.count() == 2


def test_without_the_permission_nothing_is_created(client: Client) -> None:
    user = get_user_model().objects.create_user("omar", "", "x")
    user.user_permissions.add(Permission.objects.get(codename="view_job"))
    client.force_login(user)
    assert client.get("/jobs/").status_code == 200
    assert client.get("/jobs/create/").status_code == 403
    assert client.post("/jobs/create/", GOOD).status_code == 403


def test_an_expired_login_leads_to_the_login_page(client: Client) -> None:
    answer = client.post("/jobs/create/", GOOD)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")
    assert not Job.objects.exists()


def test_a_form_without_its_token_of_origin_is_refused() -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    assert strict.post("/jobs/create/", GOOD).status_code == 403


@pytest.mark.parametrize("task", ["sleep", "fail", "flaky", "http_request", "send_email", "management_command"])
def test_every_built_in_type_has_its_form(staff: Client, task: str) -> None:
    answer = staff.get(f"/jobs/create/?task=jobs.tasks.{task}")
    assert answer.status_code == 200
    assert b'name="argument-' in answer.content


def test_the_page_says_what_will_happen(staff: Client) -> None:
    staff.cookies["django_language"] = "en"
    page = staff.get("/jobs/create/?task=jobs.tasks.sleep").content.decode()
    for text in (
        "Sleep for a number of seconds", "which no worker is serving now", "retried up to 3 times, after about 1 s, then 2 s, then 4 s",
        'kwargs={&quot;seconds&quot;: …}', 'Seconds <bdi class="type" dir="ltr">seconds</bdi>',
    ):  # fmt: skip
        assert text in page, text
    refused = post(staff, max_retries="0", queue="elsewhere", when="at", at="soon", **{"argument-seconds": "soon"}).content.decode()
    assert "goes to the dead letter queue" in refused
    assert "When it is due, it waits in \u2066elsewhere\u2069" in refused, "not now: a time was chosen"


@pytest.mark.parametrize(("most", "said"), [(2, "where 2 jobs are waiting"), (1, "where over 1 jobs are waiting")])
def test_the_page_says_how_many_wait_now(staff: Client, worker: int, monkeypatch: pytest.MonkeyPatch, most: int, said: str) -> None:
    staff.cookies["django_language"] = "en"
    monkeypatch.setattr(queues, "MOST", most)
    for options in ({"priority": 9}, {"priority": 1}, {"delay": 60}, {"queue": "mail"}):
        enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, **options)
    assert f"waits in \u2066celery\u2069, {said}" in staff.get("/jobs/create/?task=jobs.tasks.sleep").content.decode()


def test_one_after_the_other(staff: Client) -> None:
    answer = post(staff, another="1")
    assert answer.headers["Location"] == "/jobs/create/?task=jobs.tasks.sleep"
    assert str(Job.objects.get().pk) in staff.get(answer.headers["Location"]).content.decode()


@pytest.mark.parametrize(("unit", "seconds"), [("", 2), ("1", 2), ("60", 120), ("3600", 7200), ("86400", 172_800)])
def test_after_some_time_in_each_unit(staff: Client, unit: str, seconds: int) -> None:
    assert post(staff, when="after", after="2", unit=unit).status_code == 302
    job = Job.objects.get()
    assert abs((job.run_at - job.created_at).total_seconds() - seconds) < 30


@pytest.mark.parametrize(("after", "unit"), [("366", "86400"), ("2", "7"), ("2", "x"), ("nan", "60"), ("-1", "60"), ("1e300", "86400")])
def test_a_span_that_makes_no_sense_is_refused(staff: Client, after: str, unit: str) -> None:
    assert post(staff, when="after", after=after, unit=unit).status_code == 422
    assert not Job.objects.exists()


def test_each_argument_has_a_name_for_people(staff: Client) -> None:
    staff.cookies["django_language"] = "ar"
    page = staff.get("/jobs/create/?task=jobs.tasks.http_request").content.decode()
    for name in ("العنوان", "الطريقة", "الترويسات", "المتن"):
        assert f"{name} <bdi" in page, name


@pytest.mark.parametrize(("language", "said"), [("ar", "حقلان يحتاجان إلى تعديل"), ("en", "2 fields need correcting")])
def test_what_is_wrong_stands_at_the_top_and_leads_to_its_field(staff: Client, language: str, said: str) -> None:
    staff.cookies["django_language"] = language
    page = post(staff, **{"argument-seconds": "many", "max_retries": "-1"}).content.decode()
    assert said in page
    listed = re.search(r'<section class="sums".*?</section>', page, re.DOTALL)
    assert listed
    assert re.findall(r'<a href="#([^"]+)"', listed[0]) == ["id_argument-seconds", "id_max_retries"]
    assert 'class="sums"' not in staff.get("/jobs/create/?task=jobs.tasks.sleep").content.decode()


def test_each_field_names_what_is_said_about_it(staff: Client) -> None:
    wrong = {"argument-seconds": "many", "max_retries": "-1", "priority": "12", "when": "at", "at": "x", "queue": ""}
    for changes in (wrong, {"when": "after", "after": "-1", "unit": "x"}):
        page = post(staff, **changes).content.decode()
        named = {one for text in re.findall(r'aria-describedby="([^"]+)"', page) for one in text.split()}
        assert {name for name in named if page.count(f'id="{name}"') != 1} == set()
        assert {f"id_{name}_error" for name in changes if name not in ("when",)} <= named


@pytest.mark.parametrize(("when", "filled"), [("now", {"after": "3600"}), ("now", {"at": "2999-01-01T08:00"}), ("at", {"after": "0"})])
def test_a_time_that_is_filled_in_but_not_chosen_is_no_job_at_another_time(staff: Client, when: str, filled: dict[str, str]) -> None:
    answer = post(staff, **{"at": "2999-01-01T08:00" if when == "at" else "", "when": when, **filled})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == list(filled)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("task", "arguments", "field", "sentence"),
    [
        ("management_command", {"name": "flush"}, "name", "الأمر \u2068flush\u2069 ليس في JOBS_ALLOWED_COMMANDS"),
        ("send_email", {"to": "a@b.example, not an address", "subject": "x"}, "to", "\u2068not an address\u2069"),
        ("http_request", {"url": "ftp://a.example", "method": "GET"}, "url", "http://"),
        ("http_request", {"url": "http://a.example", "method": "FETCH"}, "method", "GET, HEAD"),
    ],
)
def test_what_the_task_would_refuse_for_ever_is_refused_by_the_form_and_by_enqueue(
    staff: Client, settings: Any, task: str, arguments: dict[str, str], field: str, sentence: str
) -> None:
    settings.JOBS_ALLOWED_COMMANDS = ["check"]
    staff.cookies["django_language"] = "ar"
    given = {f"argument-{name}": value for name, value in arguments.items()}
    answer = post(staff, task=f"jobs.tasks.{task}", **given)
    assert answer.status_code == 422
    assert sentence in " ".join(answer.context["arguments"].errors[field])
    with translation.override("ar"), pytest.raises(InvalidJob) as refused:
        enqueue(f"jobs.tasks.{task}", kwargs=arguments)
    assert sentence in " ".join(refused.value.message_dict["kwargs"])
    assert not Job.objects.exists()


def test_the_code_that_is_shown_is_python_whatever_was_typed(staff: Client) -> None:
    for changes in ({"priority": ""}, {"priority": "high", "queue": 'a"b\\'}):
        code = post(staff, **changes).context["code"].replace("…", "0")
        [call] = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
        said = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg != "kwargs"}
        assert said == {"queue": changes.get("queue", "celery"), "priority": 5}  # a refused one is shown as it was at first
    assert "priority=9" in post(staff, priority="9", queue="").context["code"]


def test_the_form_names_the_commands_that_are_allowed(staff: Client, settings: Any) -> None:
    settings.JOBS_ALLOWED_COMMANDS = ["check", "clearsessions"]
    assert "check, clearsessions" in staff.get("/jobs/create/?task=jobs.tasks.management_command").content.decode()
    settings.JOBS_ALLOWED_COMMANDS = []
    staff.cookies["django_language"] = "en"
    assert "None is allowed" in staff.get("/jobs/create/?task=jobs.tasks.management_command").content.decode()
