"""The dashboard's charts: numbers from the rows, marks inside the plot, the same numbers as a table, no long scan."""

import doctest
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import connection
from django.test import Client

from jobs.store import history
from jobs.store.history import Period
from jobs.web import charts as module
from jobs.web.charts import charts

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def ended(status: str, ago: float, *, wait: float = 1.0, run: float = 2.0, number: int = 1, late: float = 0.0) -> None:
    """`late`: for so many seconds they had been due when they were made."""
    end = NOW - timedelta(seconds=ago)
    start = end - timedelta(seconds=run)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, created_at, run_at, started_at, finished_at, runs, worker)
               SELECT 't', %s, %s, %s, %s, %s, 1, 1 FROM generate_series(1, %s)""",
            [status, start - timedelta(seconds=wait), start - timedelta(seconds=wait + late), start, end, number],
        )


def test_each_step_has_its_numbers() -> None:
    ended("completed", 10, wait=1, run=2, number=3)
    ended("completed", 70, wait=5, run=7)
    ended("failed", 70, number=2)
    ended("completed", 3700)  # before the hour
    found = history.history(Period.HOUR, NOW)
    assert (len(found.steps), found.seconds) == (60, 60)
    before, last = found.steps[-2:]
    assert (last.start, last.completed, last.failed) == (NOW.replace(second=0), 3, 0)
    assert (before.completed, before.failed, before.wait.half, before.run.most) == (1, 2, 5.0, 7.0)
    assert (found.wait.half, found.run.half) == (1.0, 2.0)
    assert sum(step.completed for step in found.steps) == 4


def test_what_was_due_before_it_was_made_has_waited_since_then() -> None:
    ended("completed", 10, wait=1, number=3, late=72_000)
    assert history.history(Period.HOUR, NOW).wait.most == 1.0


def test_no_label_is_a_power_of_ten() -> None:
    assert doctest.testmod(module).failed == 0
    for ago, wait in ((10, 3e9), (70, 0.002)):
        ended("completed", ago, wait=wait)
        cache.clear()
        labels = charts(history.history(Period.HOUR, NOW))[1].labels
        assert all(re.fullmatch(r"[\d,]+(\.\d{1,3})?", label) for label in labels), labels
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM jobs_job")


@pytest.mark.parametrize(("period", "steps"), [(Period.HOUR, 60), (Period.DAY, 48), (Period.WEEK, 56)])
def test_the_marks_stay_inside_the_plot(period: Period, steps: int) -> None:
    for ago in range(0, period.value * 3600, period.value * 360):
        ended("completed", ago, wait=ago / 7, run=0.004, number=ago % 13 + 1)
        ended("failed", ago, number=ago % 5)
    found = history.history(period, NOW)
    assert len(found.steps) == steps
    for chart in charts(found):
        for bar in chart.bars:
            assert 0 <= float(bar.x) <= float(bar.x) + float(bar.width) <= 100
            assert 0 <= float(bar.y) <= float(bar.y) + float(bar.height) <= 100.01
        for path in (chart.half_path, chart.most_path):
            assert all(0 <= float(y) <= 100 for y in re.findall(r" (-?[\d.]+)", path))
        assert len(chart.labels) == len(chart.grid)
        assert [float(y) for y in chart.grid] == sorted({float(y) for y in chart.grid})


def test_the_marks_of_time_are_equally_far_apart() -> None:
    times = [int(mark[:2]) * 60 + int(mark[3:]) for mark in charts(history.history(Period.HOUR, NOW))[0].marks]
    assert {(after - before) % 1440 for before, after in pairwise(times)} == {10}


def test_nothing_at_all_is_drawn_too() -> None:
    for chart in charts(history.history(Period.DAY, NOW)):
        assert not chart.bars
        assert not chart.most_path


def test_a_gap_is_not_bridged() -> None:
    for ago in (30, 90, 600):
        ended("completed", ago)
    run = charts(history.history(Period.HOUR, NOW))[2]
    assert run.half_path.count("M") == 2


@pytest.mark.parametrize("hours", ["1", "24", "168", "nonsense"])
def test_the_dashboard_shows_them(client: Client, hours: str) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    content = client.get(f"/?hours={hours}").content.decode()
    assert content.count("<figure") == content.count('role="img"') == content.count('<details class="chart-data"') == 3
    part = client.get(f"/?hours={hours}", headers={"HX-Request": "true", "HX-Target": "charts"}).content.decode()
    assert part.count("<figure") == 3
    assert "<html" not in part


def test_a_pause_holds_the_charts_too_and_keeps_their_period(sara: Client) -> None:
    page = sara.get("/?hours=168").content.decode()
    assert 'id="pause" href="?hours=168&amp;live=off"' in page
    assert 'id="pause" href="?hours=168&amp;live=off"' in sara.get("/?hours=168", headers={"HX-Request": "true"}).content.decode()
    assert page.count("hx-trigger") == 2
    assert 'hx-get="/?hours=168"' in page.split('id="live"')[1].split(">")[0], "what is renewed keeps it"
    paused = sara.get("/?hours=168&live=off").content.decode()
    assert "hx-trigger" not in paused
    assert 'id="go-on" href="?hours=168"' in paused
    assert 'id="period-24" href="?hours=24&amp;live=off"' in paused


def nodes(plan: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(plan["Node Type"], plan.get("Relation Name", ""))]
    return found + [node for part in plan.get("Plans", []) for node in nodes(part)]


@pytest.mark.usefixtures("own_files")
def test_a_week_is_read_from_the_index() -> None:
    ended("completed", 3600, number=20_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
        for sql in (history._READ,):
            values = {"first": NOW - timedelta(days=7), "last": NOW, "step": 10_800, "sample": history.SAMPLE}
            cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
            assert ("Seq Scan", "jobs_job") not in nodes(cursor.fetchone()[0][0]["Plan"])


def test_the_headline_says_that_failures_go_on(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("sara", "", "x"))
    client.cookies["django_language"] = "en"
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH j AS (INSERT INTO jobs_job (task, status, finished_at)
                          SELECT 't', 'failed', now() FROM generate_series(1, 3) RETURNING id)
               INSERT INTO jobs_deadletterqueue (job_id, error_class, fingerprint, attempts, failed_at)
               SELECT id, 'E', 'f', 1, now() - (row_number() OVER () - 1) * interval '8 minutes' FROM j"""
        )
    content = client.get("/").content.decode()
    assert "3 jobs failed for good and wait for a decision. 2 of them in the last 10 minutes: it is still happening." in content
