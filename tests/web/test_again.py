"""A new job from an old one: filled from it, linked to it, audited; its secrets stay hidden and stay as they were."""

import re
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client

from jobs import control, enqueue
from jobs.domain.actors import Actor
from jobs.enqueueing import InvalidJob
from jobs.models import Audit, DeadLetterQueue, Job
from tests.rows import job_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def deliver() -> Any:
    """A task with secrets among its arguments."""

    def deliver(to: str, password: str, headers: dict[str, str], pin_token: int = 0, *more: int) -> None: ...

    yield current_app.task(deliver, name="tests.again.deliver", shared=False)  # no other app gets it as it is finalised
    current_app.tasks.pop("tests.again.deliver")


def filled(client: Client, job: Job) -> dict[str, str]:
    """The form as a browser would send it back untouched."""
    answer = client.get(f"/jobs/create/?from={job.pk}")
    assert answer.status_code == 200
    form, arguments = answer.context["form"], answer.context["arguments"]
    values = {field.html_name: field.value() for field in (*form, *arguments)}
    return {name: str(value) for name, value in values.items() if value is not None}


def send(client: Client, job: Job, **changes: str) -> Any:
    sent = filled(client, job) | {f"argument-{name}": value for name, value in changes.items()}
    return client.post(f"/jobs/create/?from={job.pk}", {**sent, "task": job.task})


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_an_ended_job_runs_again_as_a_new_one_with_other_arguments(sara: Client, status: str) -> None:
    old = job_in(status, name="Nightly", priority=8, queue="slow", max_retries=7, timeout=99)
    assert f'href="/jobs/create/?from={old.pk}"' in sara.get(f"/jobs/{old.pk}/").content.decode()
    sent = filled(sara, old) | {"argument-seconds": "2.5", "task": old.task, "reason": "too slow"}
    answer = sara.post(f"/jobs/create/?from={old.pk}", sent)
    new = Job.objects.latest("id")
    assert set(Audit.objects.values_list("job", "note")) == {(old.pk, "too slow"), (new.pk, "too slow")}
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/jobs/{new.pk}/")
    assert (new.task, new.kwargs, new.status) == (old.task, {"seconds": 2.5}, "pending")
    assert (new.name, new.priority, new.queue, new.max_retries, new.timeout) == ("Nightly", 8, "slow", 7, 99)
    assert Job.objects.get(pk=old.pk).status == status
    told = set(Audit.objects.values_list("verb", "job", "actor", "source"))
    assert told == {("again", old.pk, "sara", "page"), ("again", new.pk, "sara", "page")}
    assert {(act.before["job"], act.after["job"]) for act in Audit.objects.all()} == {(old.pk, new.pk)}
    for number in (old.pk, new.pk):
        assert "copied to a new job" in sara.get(f"/jobs/{number}/").content.decode()


def test_hidden_values_are_not_in_the_page_and_stay_as_they_were(sara: Client, deliver: Any) -> None:
    secret = {"password": "hunter2", "headers": {"Authorization": "Bearer of-news", "Accept": "*/*"}, "pin_token": 4711_4711_4711}
    old = enqueue(deliver, kwargs={"to": "a@example.com", **secret})
    page = sara.get(f"/jobs/create/?from={old.pk}").content.decode()
    assert "a@example.com" in page
    assert [word for word in ("hunter2", "Bearer", "of-news", "471147114711") if word in page] == []
    answer = send(sara, old, to="b@example.com")
    assert answer.status_code == 302
    assert Job.objects.latest("id").kwargs == {"to": "b@example.com", **secret}


def test_hidden_values_can_be_written_over(sara: Client, deliver: Any) -> None:
    old = enqueue(deliver, args=["a", "hunter2", {"Authorization": "Bearer quartz"}, 4711, 1, 2])
    changed = {"password": "swordfish", "headers": '{"Authorization": "***", "X": "y"}', "pin_token": "12"}
    assert send(sara, old, **changed).status_code == 302
    new = Job.objects.latest("id")
    assert new.args == ["a", "swordfish", {"Authorization": "Bearer quartz", "X": "y"}, 12, 1, 2]


def test_a_hidden_value_that_was_moved_is_refused_and_shown_to_nobody(sara: Client, deliver: Any) -> None:
    old = enqueue(deliver, kwargs={"to": "a", "password": "hunter2", "headers": {"Authorization": "Bearer quartz"}})
    answer = send(sara, old, headers='{"X-Token": "***"}')
    assert answer.status_code == 422
    assert "Bearer" not in answer.content.decode()
    assert "hunter2" not in answer.content.decode()
    assert Job.objects.count() == 1


def test_arguments_that_the_task_no_longer_takes_are_left_out(sara: Client) -> None:
    old = job_in("completed")
    Job.objects.filter(pk=old.pk).update(kwargs={"seconds": 3, "colour": "red"})
    assert filled(sara, old)["argument-seconds"] == "3"


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "-1"])
def test_a_job_that_does_not_exist_is_not_found(sara: Client, number: str) -> None:
    assert sara.get(f"/jobs/create/?from={number}").status_code == 404


@pytest.mark.parametrize("value", ['"\\ud800"', '["\\ud800"]', '{"\\ud800": "\\udfff"}'])
@pytest.mark.parametrize(
    ("task", "field"), [("jobs.tasks.sleep", "seconds"), ("jobs.tasks.fail", "message"), ("jobs.tasks.http_request", "headers")]
)
def test_half_a_character_that_an_insert_brought_is_written_out(sara: Client, task: str, field: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, kwargs) VALUES (%s, %s)", [task, f'{{"{field}": {value}, "url": "http://a/"}}'])
    old = Job.objects.get()
    assert "\\ud800" in filled(sara, old)[f"argument-{field}"]
    assert send(sara, old).status_code in (302, 422)


def test_whoever_may_not_look_at_jobs_reads_no_arguments(client: Client) -> None:
    old = job_in("completed")
    user = get_user_model().objects.create_user("omar", "", "x")
    user.user_permissions.add(Permission.objects.get(codename="add_job"))
    client.force_login(user)
    assert client.get("/jobs/create/?task=jobs.tasks.sleep").status_code == 200
    assert client.get(f"/jobs/create/?from={old.pk}").status_code == 403


def test_the_form_sent_twice_makes_one_job(sara: Client) -> None:
    old = job_in("completed")
    sent = filled(sara, old)
    for _ in range(2):
        assert sara.post(f"/jobs/create/?from={old.pk}", sent).status_code == 302
    assert Job.objects.count() == 2


def test_the_new_job_has_not_the_unique_key_of_the_old_one() -> None:
    old = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, unique_key="only")
    new = control.run_again(old, Actor(name="sara"), kwargs={"seconds": 2})
    assert (new.pk == old.pk, new.unique_key) == (False, None)
    assert re.fullmatch(r"\{'seconds': 2(\.0)?\}", str(new.kwargs))


def test_code_takes_over_what_it_names() -> None:
    """As docs/api.md says it; only the task and its time limit come along by themselves."""
    old = Job.objects.get(pk=enqueue("jobs.tasks.sleep", args=[1], name="one", priority=9, queue="q", max_retries=0, timeout=7).pk)
    new = control.run_again(old, "sara", args=old.args, kwargs=old.kwargs, priority=old.priority)
    new.refresh_from_db()
    assert (new.args, new.priority, new.timeout, new.name, new.queue, new.max_retries) == ([1], 9, 7, "", "celery", 3)
    with pytest.raises(InvalidJob):
        control.run_again(old, "sara")


HIDDEN = "The hidden values (***) were meant for another address"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://api.example/other?page=2", True),
        ("https://API.example:443/x", True),
        ("http://api.example/x", False),
        ("https://api.example:8443/x", False),
        ("https://evil.example/x", False),
        ("https://api.example@evil.example/x", False),
        ("https://evil.example\\@api.example/x", False),  # urlsplit says api.example, and the request goes to evil.example
    ],
)
def test_a_hidden_value_goes_to_no_other_server(sara: Client, url: str, same: bool) -> None:
    headers = {"Authorization": "Bearer quartz", "Accept": "*/*"}
    old = enqueue("jobs.tasks.http_request", kwargs={"url": "https://api.example/x", "headers": headers})
    for changed in ({}, {"headers": '{"Authorization": "***", "X": "y"}'}):
        answer = send(sara, old, url=url, **changed)
        assert (answer.status_code, HIDDEN in answer.content.decode()) == ((302, False) if same else (422, True))
        assert "quartz" not in answer.content.decode()
    assert same or Job.objects.count() == 1
    assert send(sara, old, url=url, headers='{"Authorization": "Bearer mine"}').status_code == 302
    assert Job.objects.latest("id").kwargs["headers"] == {"Authorization": "Bearer mine"}


@pytest.mark.parametrize("name", ["Host", "hOST "])
def test_a_hidden_value_goes_to_no_other_site_of_a_server(sara: Client, name: str) -> None:
    """Many sites share the servers of one provider, which finds the site by this header."""
    old = enqueue("jobs.tasks.http_request", kwargs={"url": "https://api.example/x", "headers": {"Authorization": "Bearer quartz"}})
    for site, code in (("evil.example", 422), ("api.example", 302)):
        sent = f'{{"Authorization": "***", "{name}": "{site}"}}'
        answer = send(sara, old, headers=sent)
        assert (answer.status_code, HIDDEN in answer.content.decode()) == (code, code == 422)
    again = Job.objects.latest("id")
    assert send(sara, again, headers='{"Authorization": "***"}').status_code == 302
    assert send(sara, again, headers=f'{{"Authorization": "***", "{name}": "other.example"}}').status_code == 422


def test_dead_letters_take_their_hidden_values_to_no_other_site(sara: Client) -> None:
    old = job_in("failed")
    kwargs = {"url": "https://api.example/x", "headers": None, "body": "token=quartz"}
    Job.objects.filter(pk=old.pk).update(task="jobs.tasks.http_request", kwargs=kwargs)
    sent = {"entry": [str(letter.pk) for letter in DeadLetterQueue.objects.all()], "argument": "headers"}
    answer = sara.post("/jobs/dead-letters/reprocess/", sent | {"value": '{"Host": "evil.example"}'})
    assert answer.status_code == 422
    assert Job.objects.get(pk=old.pk).kwargs == kwargs
    assert sara.post("/jobs/dead-letters/reprocess/", sent | {"value": '{"X": "y"}'}).status_code == 302


def test_a_hidden_value_goes_to_no_other_reader(sara: Client) -> None:
    """A text may have a hidden value in it, where the pages show texts so."""
    old = enqueue("jobs.tasks.send_email", kwargs={"to": "a@example.com, b@example.com", "subject": "x"})
    Job.objects.filter(pk=old.pk).update(kwargs=old.kwargs | {"body": {"password": "hunter2"}})
    assert HIDDEN in send(sara, old, to="a@example.com, evil@example.com").content.decode()
    assert HIDDEN not in send(sara, old, to="b@example.com").content.decode()


def test_a_new_job_without_hidden_values_goes_anywhere(sara: Client) -> None:
    old = enqueue("jobs.tasks.http_request", kwargs={"url": "https://api.example/x", "headers": {"Accept": "*/*"}})
    assert send(sara, old, url="https://other.example/x").status_code == 302


@pytest.mark.parametrize(("url", "same"), [("https://api.example/y", True), ("https://evil.example/", False)])
def test_dead_letters_take_their_hidden_values_to_no_other_server(sara: Client, url: str, same: bool) -> None:
    old = job_in("failed")
    kwargs = {"url": "https://api.example/x", "headers": {"Authorization": "Bearer quartz"}}
    Job.objects.filter(pk=old.pk).update(task="jobs.tasks.http_request", kwargs=kwargs)
    plain = job_in("failed")
    Job.objects.filter(pk=plain.pk).update(task="jobs.tasks.http_request", kwargs=kwargs | {"headers": None})
    sent = {"entry": [str(letter.pk) for letter in DeadLetterQueue.objects.all()], "argument": "url", "value": f'"{url}"'}
    answer = sara.post("/jobs/dead-letters/reprocess/", sent)
    assert answer.status_code == (302 if same else 422)
    assert same or f"Job {old.pk} has hidden values (***) that were meant for another address" in answer.content.decode()
    assert Job.objects.get(pk=old.pk).kwargs == (kwargs | {"url": url} if same else kwargs)
