"""A new job from an old one has its very values where nobody wrote over them, whatever a browser makes of their fields."""

import datetime
import enum
import uuid
from decimal import Decimal
from typing import Any, Literal

import pytest
from celery import current_app
from django.test import Client
from kombu.utils.json import dumps, loads

from jobs import enqueue
from jobs.models import Job

pytestmark = pytest.mark.django_db


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


def write(to: str, body: str = "nothing", count: int | None = 3, sure: bool | None = None, size: Literal[1, 2] | None = None) -> None: ...


def anything(value: Any, more: dict[str, int], empty: Any = 5) -> None: ...


def function(path: str, args: list[Any], kwargs: dict[str, Any], options: list[Any]) -> None: ...  # as `jobs.django_task` is called


def typed(
    pk: uuid.UUID, amount: Decimal, when: datetime.datetime, colour: Colour = Colour.RED, day: datetime.date | None = None
) -> None: ...


FUNCTIONS = {"write": write, "function": function, "anything": anything, "typed": typed}


@pytest.fixture(autouse=True)
def _tasks() -> Any:
    for name, function in FUNCTIONS.items():
        current_app.task(function, name=f"tests.{name}", shared=False)
    yield
    for name in FUNCTIONS:
        current_app.tasks.pop(f"tests.{name}")


def sent_back(client: Client, old: Job, **changes: str) -> Any:
    """The form as a browser sends it: ticks only where they are set, each line break as two characters."""
    page = client.get(f"/jobs/create/?from={old.pk}")
    assert page.status_code == 200
    form, arguments = page.context["form"], page.context["arguments"]
    values = {field.html_name: field.value() for field in (*form, *arguments)}
    texts = {name: "" if value is None else str(value) for name, value in values.items() if value is not False}
    texts |= {f"argument-{name}": value for name, value in changes.items()}
    browsers = {name: text.replace("\r\n", "\n").replace("\n", "\r\n") for name, text in texts.items()}
    return client.post(f"/jobs/create/?from={old.pk}", {**browsers, "task": old.task})


def again(client: Client, old: Job, **changes: str) -> Any:
    answer = sent_back(client, old, **changes)
    assert answer.status_code == 302, answer.context["problems"]
    return Job.objects.latest("id")


MAIL = "Dear Ali,\n\nyour invoice…\n\tRegards\n"


@pytest.mark.parametrize("body", [MAIL, "a\r\nb\r", "  spaces at both ends \n ", "", "one line", "\n\nfirst lines"])
def test_a_text_stays_as_it_was(sara: Client, body: str) -> None:
    old = enqueue("tests.write", kwargs={"to": "ali@example.com", "body": body})
    assert again(sara, old, to="omar@example.com").kwargs["body"] == body


def test_a_text_of_several_lines_can_be_typed(sara: Client) -> None:
    page = sara.get("/jobs/create/?task=tests.write").content.decode()
    assert '<textarea name="argument-body" cols="40" rows="1"' in page
    old = enqueue("tests.write", kwargs={"to": "x"})
    assert again(sara, old, body=MAIL).kwargs["body"] == MAIL
    assert 'rows="5"' in sara.get(f"/jobs/create/?from={Job.objects.latest('id').pk}").content.decode()


def test_a_text_that_was_emptied_is_empty_and_not_the_default(sara: Client) -> None:
    old = enqueue("tests.write", kwargs={"to": "x", "body": "b"})
    assert again(sara, old, body="").kwargs["body"] == ""


@pytest.mark.parametrize(
    "kwargs",
    [{"to": ""}, {"to": "x", "count": None}, {"to": "x", "sure": True}, {"to": "x", "sure": None}, {"to": "x", "size": 2, "count": 0}],
)
def test_empty_values_and_none_stay_as_they_were(sara: Client, kwargs: dict[str, Any]) -> None:
    old = enqueue("tests.write", kwargs=kwargs)
    assert again(sara, old).kwargs.items() >= kwargs.items()


@pytest.mark.parametrize("value", [{}, [], "", None, 0, False, "text", {"deep": [None, ""]}])
def test_a_required_argument_may_be_any_empty_value(sara: Client, value: Any) -> None:
    old = enqueue("tests.anything", kwargs={"value": value, "more": {}, "empty": value})
    assert again(sara, old).kwargs == {"value": value, "more": {}, "empty": value}


@pytest.mark.parametrize("text", ["{}", "[]", '""', "null"])
def test_an_empty_value_can_be_typed_and_a_forgotten_field_is_named(sara: Client, text: str) -> None:
    old = enqueue("tests.anything", kwargs={"value": 1, "more": {"a": 1}})
    assert again(sara, old, value=text, more="{}").kwargs["more"] == {}
    answer = sent_back(sara, old, value=" ")
    assert answer.status_code == 422
    assert [problem.text for problem in answer.context["problems"]] == ["This field is required."]


def test_a_forgotten_text_is_named(sara: Client) -> None:
    answer = sent_back(sara, enqueue("tests.write", kwargs={"to": "x"}), to="")
    assert [problem.text for problem in answer.context["problems"]] == ["This field is required."]


def test_a_job_of_django_tasks_that_was_called_without_keywords_runs_again(sara: Client) -> None:
    call = {"args": [1], "kwargs": {}, "options": [0, "default", "default", None]}
    old = enqueue("tests.function", args=["some.where"], kwargs=call)
    assert again(sara, old).kwargs == {"path": "some.where", **call}


TYPED = {
    "pk": uuid.UUID("0190a1b2c3d47e5f8091a2b3c4d5e6f7"), "amount": Decimal("12345678901234567.890"),
    "when": datetime.datetime(2030, 1, 2, 3, 4, 5, 678901, datetime.UTC), "colour": Colour.BLUE, "day": datetime.date(2030, 1, 2),
}  # fmt: skip


def got(job: Job) -> Any:
    """The named arguments as the task gets them."""
    return loads(dumps(job.kwargs))


def test_the_task_gets_what_delay_gives_it_and_so_it_does_again(sara: Client) -> None:
    old = enqueue("tests.typed", kwargs=TYPED)
    current_app.tasks["tests.typed"].delay(**TYPED)
    sent = Job.objects.latest("id")
    assert got(old) == got(sent) == TYPED
    for job in (old, sent):
        assert got(again(sara, job)) == TYPED
        assert got(again(sara, job, amount="0.10")) == TYPED | {"amount": Decimal("0.10")}


def test_the_form_makes_what_the_signature_names_of_what_is_typed(sara: Client) -> None:
    shown = {name: str(value) for name, value in TYPED.items()}
    sent = {"task": "tests.typed", "priority": "5", "max_retries": "3", "when": "now", "queue": "celery", "token": str(uuid.uuid4())}
    answer = sara.post("/jobs/create/", {**sent, **{f"argument-{name}": text for name, text in shown.items()}})
    assert answer.status_code == 302, answer.context["problems"]
    assert got(Job.objects.get()) == TYPED


def test_values_that_are_no_json_stay_in_an_argument_of_any_type(sara: Client) -> None:
    value = {"ids": [TYPED["pk"], 1], "raw": b"\xff", "when": TYPED["when"], "clock": datetime.time(1, 2)}
    old = enqueue("tests.anything", kwargs={"value": value, "more": {}})
    assert got(again(sara, old))["value"] == value
    shown = sara.get(f"/jobs/create/?from={old.pk}").context["arguments"]["value"].value()
    changed = got(again(sara, old, value=shown.replace(", 1]", ", 2]")))["value"]
    assert changed == value | {"ids": [TYPED["pk"], 2]}


def test_people_read_values_and_not_how_they_are_written(sara: Client) -> None:
    old = enqueue("tests.typed", args=[TYPED["pk"], TYPED["amount"]], kwargs={"when": TYPED["when"]})
    Job.objects.filter(pk=old.pk).update(result=old.kwargs)
    for path in (f"/jobs/{old.pk}/", f"/jobs/create/?from={old.pk}", "/jobs/", f"/admin/jobs/job/{old.pk}/change/"):
        assert "__type__" not in sara.get(path).content.decode(), path
    page = sara.get(f"/jobs/{old.pk}/").content.decode()
    assert [str(TYPED["pk"]) in page, "12345678901234567.890" in page, "2030-01-02T03:04:05.678901+00:00" in page] == [True] * 3
    for kind in ("json", "csv"):
        file = b"".join(sara.get(f"/jobs/export/?format={kind}").streaming_content).decode()  # type: ignore[attr-defined]
        assert ("__type__" in file, file.count("2030-01-02T03:04:05.678901+00:00")) == (False, 2)
    assert f'href="/jobs/{old.pk}/"' in sara.get("/jobs/", {"q": str(TYPED["pk"])}).content.decode()
