"""The database refuses the states that the drawing and the table of transitions do not know."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from jobs.domain.statuses import ENDED, TRANSITIONS, Status

pytestmark = pytest.mark.django_db
DRAWING = (Path(__file__).resolve().parents[2] / "CONCURRENCY_CONTROL.md").read_text("utf-8").split("```mermaid")[1].split("```")[0]


def accepts(**values: Any) -> bool:
    """Whether the database takes in a row with these columns."""
    columns = {"task": "t.nap", **values}
    marks = ", ".join(f"%({name})s" for name in columns)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO jobs_job ({', '.join(columns)}) VALUES ({marks})", columns)
            transaction.set_rollback(True)
    except IntegrityError:
        return False
    return True


def whole(status: str) -> dict[str, Any]:
    """Columns that make a row of this status complete."""
    row: dict[str, Any] = {"status": status, "runs": 1, "started_at": "2026-01-01T00:00:00Z", "worker": 1}
    return row | ({"finished_at": "2026-01-01T00:00:01Z"} if status in ENDED else {})


def test_drawing_table_and_database_know_the_same_statuses() -> None:
    drawn = {name for line in re.findall(r"(\S+) --> (\S+):", DRAWING) for name in line} - {"[*]"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'jobs_job_state'")
        checked = set(re.findall(r"'(\w+)'", cursor.fetchone()[0]))
    table = {status.value for row in TRANSITIONS.values() for status in row.sources | row.targets}
    assert drawn == checked == table == {status.value for status in Status}
    assert [status for status in sorted(drawn) if not accepts(**whole(status))] == []
    assert not accepts(**whole("started"))


@pytest.mark.parametrize("status", [status.value for status in Status])
def test_exactly_the_ended_ones_have_an_end(status: str) -> None:
    ended = status in ("completed", "failed", "cancelled")
    row = whole(status)
    assert accepts(**row | {"finished_at": "2026-01-01T00:00:01Z"}) == ended
    assert accepts(**row | {"finished_at": None}) == (not ended)


def test_what_runs_has_a_run_a_worker_and_a_start() -> None:
    for missing, value in {"runs": 0, "worker": None, "started_at": None}.items():
        assert not accepts(**whole("running") | {missing: value}), missing


def test_numbers_keep_to_their_ranges() -> None:
    for values in ({"priority": 10}, {"priority": -1}, {"attempts": -1}, {"attempts": 1, "runs": 0}, {"losses": -1}, {"max_retries": -1}):
        assert not accepts(**values), values
    assert accepts(priority=0) and accepts(priority=9) and accepts(max_retries=None) and not accepts(timeout=0)  # noqa: PT018


@pytest.mark.parametrize("name", ["run_at", "created_at"])
def test_each_clock_can_show_when_it_is_due_and_was_made(name: str) -> None:
    for moment in ("infinity", "-infinity", "294276-01-01", "9999-01-02", "1899-12-31", "0044-03-15 BC"):
        assert not accepts(**{name: moment}), moment
    assert accepts(**{name: "1900-01-01+0"}) and accepts(**{name: "9999-01-01+0"})  # noqa: PT018


def test_no_limit_is_one_that_holds() -> None:
    for timeout, retries in product((None, 1, 2**31 - 1), (None, 0, 2**31 - 1)):
        assert accepts(timeout=timeout, max_retries=retries)
    for values in ({"timeout": 0}, {"timeout": -1}, {"max_retries": -1}):
        other = {"timeout": None, "max_retries": None} | values
        assert not accepts(**values)
        assert not accepts(**other)


def test_the_targets_of_each_verb_are_rows_that_the_database_takes() -> None:
    """Each verb leads from a row the database may hold to another one that it may hold."""
    for row in TRANSITIONS.values():
        for source, target in product(row.sources, row.targets):
            assert accepts(**whole(source.value)), (row.verb, source)
            assert accepts(**whole(target.value)), (row.verb, target)
            assert source != target or row.verb == "progress"


def test_permanently_failed_cannot_be_written_by_hand() -> None:
    with pytest.raises(Exception, match="permanently_failed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO jobs_job (task, permanently_failed) VALUES ('t.nap', true)")
