"""Every page answers those who may see it, in Arabic and in English, and nobody else."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.test import Client

from jobs import enqueue
from tests.rows import job_in

pytestmark = pytest.mark.django_db
PAGES = ["/", "/jobs/", "/jobs/create/", "/jobs/create/?task=jobs.tasks.sleep", "/jobs/dead-letters/", "/jobs/queues/", "/jobs/workers/"]
ADMIN = ["/admin/jobs/job/", "/admin/jobs/job/add/", "/admin/jobs/deadletterqueue/"]


@pytest.mark.parametrize("page", PAGES + ADMIN)
@pytest.mark.parametrize(("language", "direction"), [("ar", b'dir="rtl"'), ("en", b'dir="ltr"')])
def test_a_page_answers_in_the_language_asked_for(client: Client, page: str, language: str, direction: bytes) -> None:
    client.force_login(get_user_model().objects.create_superuser("root", "", "x"))
    client.cookies["django_language"] = language
    answer = client.get(page)
    assert answer.status_code == 200
    assert direction in answer.content


@pytest.mark.parametrize("page", PAGES + ADMIN)
def test_a_page_is_closed_to_strangers(client: Client, page: str) -> None:
    assert client.get(page).status_code == 302


def test_the_page_of_a_job_escapes_what_people_typed(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("root", "", "x"))
    job = enqueue("jobs.tasks.fail", kwargs={"message": "<script>1</script>"}, name="<script>2</script>")
    content = client.get(f"/jobs/{job.id}/").content
    assert b"<script>1" not in content
    assert b"<script>2" not in content


def test_the_line_of_a_jobs_life_is_drawn_with_a_table_behind_it(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("root", "", "x"))
    client.cookies["django_language"] = "en"
    with connection.cursor() as cursor:
        job = job_in("failed")
        cursor.execute("UPDATE jobs_job SET created_at = created_at - interval '90 s' WHERE id = %s", [job.id])
    page = client.get(f"/jobs/{job.id}/").content.decode()
    assert page.count('<rect class="life-wait"') == 2  # and in the legend
    assert 'aria-label="waiting: 1 min and 30 s' in page
    assert "<td>Run 1: failed</td>" in page


def test_the_page_of_a_job_has_everything_about_it(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("root", "", "x"))
    client.cookies["django_language"] = "en"
    job = enqueue("jobs.tasks.sleep", kwargs={"seconds": 1}, name="Nap", queue="slow", unique_key="nap-1", max_retries=2)
    page = client.get(f"/jobs/{job.id}/").content.decode()
    for text in (job.task_id, "nap-1", "1 h for each run", "0 / 3", "?task=jobs.tasks.sleep", "?queue=slow"):
        assert text in page, text


def test_the_labels_of_the_admins_form_begin_with_a_capital(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    labels = re.findall(r"<label[^>]*>\s*([^<:]+):", client.get("/admin/jobs/job/add/").content.decode())
    assert {"Positional arguments", "Named arguments", "Due at"} < set(labels)
    assert [label for label in labels if not label[0].isupper()] == []


def test_what_is_empty_says_how_to_fill_it_and_counts_nothing(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    assert "Select some jobs in the list" in client.get("/jobs/batches/").content.decode()
    assert "0 jobs" not in client.get("/jobs/?q=nobody").content.decode()


def test_the_first_visit_leads_to_the_first_job(sara: Client) -> None:
    page = sara.get("/").content.decode().split("<main")[1]
    assert "No jobs yet." in page
    assert 'href="/jobs/create/"' in page
    assert "No records yet." in sara.get("/jobs/audit/").content.decode()
    assert "No records match these filters." in sara.get("/jobs/audit/?actor=omar").content.decode()
    job_in("completed")
    cache.clear()
    assert "No jobs yet." not in sara.get("/").content.decode()
