"""The page of a job links the jobs that belong to it, and reads no more of the table than these."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, current_app, group
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from jobs import enqueue
from jobs.models import Job
from jobs.store.related import related
from jobs.web.relations import following, relations
from tests.rows import job_in
from tests.web.test_size import fill, nodes, plan

pytestmark = pytest.mark.django_db


def sleep(**options: Any) -> Any:
    return current_app.tasks["jobs.tasks.sleep"].si(seconds=0).set(**options)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


def titles(job: Job) -> dict[str, list[int]]:
    return {one.title: [row.pk for row in one.jobs] for one in relations(job)}


def test_parent_and_root_and_what_was_sent(admin_client: Client) -> None:
    admin_client.cookies["django_language"] = "en"
    root = enqueue("jobs.tasks.fail", name="the root")
    sleep().apply_async(task_id="parent-1", parent_id=root.task_id, root_id=root.task_id)
    sleep().apply_async(task_id="child-1", parent_id="parent-1", root_id=root.task_id)
    parent, child = Job.objects.get(task_id="parent-1"), Job.objects.get(task_id="child-1")
    kept = {"children": [[["child-1", None], None], [["g", None], [[["long-gone", None], None]]]]}
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET result_meta = %s WHERE id = %s", [json.dumps(kept), parent.pk])
    parent.refresh_from_db()
    assert titles(child) == {"Sent by": [parent.pk], "The workflow began with": [root.pk], "Newest jobs of this task": [parent.pk]}
    shown = relations(parent)
    assert [(one.title, [row.pk for row in one.jobs], one.missing) for one in shown[:2]] == [
        ("Sent by", [root.pk], []), ("Jobs it sent", [child.pk], ["long-gone"]),
    ]  # fmt: skip
    page = admin_client.get(f"/jobs/{parent.pk}/").content.decode()
    assert f'href="/jobs/{root.pk}/"' in page
    assert f'href="/jobs/{child.pk}/"' in page
    assert "long-gone</bdi> no longer kept" in page


def test_a_job_that_its_own_retry_sent_was_sent_by_nobody() -> None:
    result = sleep().apply_async(parent_id="retried-1", root_id="retried-1", task_id="retried-1")
    assert titles(Job.objects.get(task_id=result.id)) == {}


@pytest.mark.parametrize(
    "options",
    [
        {"embed": {"chain": 5}}, {"embed": {"chain": True}}, {"embed": {"callbacks": 1.5}}, {"embed": {"chord": {"options": [1]}}},
        {"embed": {"callbacks": {"task": "a"}}}, {"embed": {"chain": [{"task": "\ud800", "options": {"task_id": "a\0\ud800"}}]}},
        {"headers": {"parent_id": "\0", "root_id": "\ud800", "group": "\0\udc00"}}, {"headers": {"parent_id": [1], "group": {"a": 1}}},
    ],
)  # fmt: skip
def test_options_that_are_none_of_celery_s_break_no_page(admin_client: Client, options: dict[str, Any]) -> None:
    """A plain INSERT may bring any."""
    job = job_in("pending")
    with connection.cursor() as cursor:
        meta = json.dumps({"children": [[["\0\ud800", None], None], 5]})
        cursor.execute("UPDATE jobs_job SET options = %s, result_meta = %s WHERE id = %s", [json.dumps(options), meta, job.pk])
    assert admin_client.get(f"/jobs/{job.pk}/").status_code == 200


def test_the_group_and_what_follows() -> None:
    group(sleep() for _ in range(3)).apply_async()
    first, *others = Job.objects.order_by("id")
    job_in("pending")
    assert titles(first)["In its group"] == [one.pk for one in others]
    result = chain(sleep(), sleep(), sleep()).apply_async()
    job = Job.objects.get(task_id=result.parent.parent.task_id)
    assert [id for id, _task in following(job.options["embed"])] == [result.parent.task_id, result.task_id]
    assert [one.missing for one in relations(job) if one.title == "What runs next"] == [["jobs.tasks.sleep"] * 2]


@pytest.mark.usefixtures("own_files")
def test_it_is_read_from_indexes_and_within_twelve_queries(admin_client: Client) -> None:
    fill()
    for status in ("pending", "failed"):
        job = Job.objects.filter(status=status)[0]
        with CaptureQueriesContext(connection) as captured:
            found = related(job, ["a", "b"], '"group": "x"')
        assert len(found.task) == 5
        assert len(captured) == 1
        assert [node for node in nodes(plan(captured.captured_queries[0]["sql"])) if node == ("Seq Scan", "jobs_job")] == []
        cache.clear()
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(f"/jobs/{job.pk}/").status_code == 200
        assert len(captured) <= 12
