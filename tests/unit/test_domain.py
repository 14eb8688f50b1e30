"""The pure rules: tables of examples, and properties that hold for every value."""

import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain import errors, priority, retry, statuses
from jobs.domain.fingerprint import fingerprint, normalise
from jobs.domain.statuses import TRANSITIONS, State, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("verb", "allowed"),
    [
        ("claim", {"pending"}),
        ("complete", {"running"}),
        ("retry", {"running"}),
        ("bury", {"pending", "running", "completed"}),
        ("release", {"running"}),
        ("rescue", {"running"}),
        ("replace", {"running"}),
        ("cancel", {"pending", "running"}),
        ("reprocess", {"failed", "cancelled"}),
        ("restore", {"cancelled"}),
        ("rerun", {"completed"}),
    ],
)
def test_each_verb_leads_from_its_states_only(verb: str, allowed: set[str]) -> None:
    assert {status.value for status in Status if statuses.can(verb, status)} == allowed


EAST = timezone(timedelta(hours=14))


@pytest.mark.parametrize(
    ("moment", "due", "nearest"),
    [
        (datetime(1900, 1, 1, tzinfo=UTC), True, None),
        (datetime(1900, 1, 1, tzinfo=EAST), False, statuses.EARLIEST),
        (datetime(1900, 1, 1, tzinfo=UTC).replace(tzinfo=None), False, statuses.EARLIEST),
        (datetime(1, 1, 1, tzinfo=EAST), False, statuses.EARLIEST),
        (datetime(9997, 12, 31, 23, tzinfo=timezone(-timedelta(hours=12))), False, statuses.LATEST),
        (datetime(9999, 12, 31, tzinfo=UTC).replace(tzinfo=None), False, statuses.LATEST),
    ],
)
def test_a_due_time_is_one_in_every_zone(moment: datetime, due: bool, nearest: datetime | None) -> None:
    assert statuses.is_due_time(moment) == due
    assert statuses.due_time(moment) == (nearest or moment)


def test_the_table_of_verbs_is_complete() -> None:
    assert len(TRANSITIONS) == 11
    assert all(row.who and row.targets for row in TRANSITIONS.values())


def test_each_status_can_be_reached_and_each_live_one_be_left() -> None:
    assert {target for row in TRANSITIONS.values() for target in row.targets} == set(Status)
    assert {source for row in TRANSITIONS.values() for source in row.sources} >= statuses.LIVE


@pytest.mark.parametrize(
    ("status", "attempts", "run_at", "state"),
    [
        ("pending", 0, NOW, State.QUEUED),
        ("pending", 0, NOW + timedelta(hours=1), State.SCHEDULED),
        ("pending", 0, statuses.HELD, State.REPLACED),
        ("pending", 2, NOW, State.RETRYING),
        ("pending", 2, NOW + timedelta(hours=1), State.RETRYING),
        ("running", 1, NOW, State.RUNNING),
        ("completed", 1, NOW, State.COMPLETED),
        ("failed", 4, NOW, State.FAILED),
        ("cancelled", 0, NOW + timedelta(hours=1), State.CANCELLED),
    ],
)
def test_state_of(status: str, attempts: int, run_at: datetime, state: State) -> None:
    assert statuses.state_of(status, attempts=attempts, run_at=run_at, now=NOW) is state


@given(st.integers(0, 9), st.integers(0, 9))
def test_a_higher_priority_has_a_lower_lane(one: int, other: int) -> None:
    assert (one > other) == (priority.lane_of(one) < priority.lane_of(other))
    assert priority.priority_of(priority.lane_of(one)) == one


@given(st.integers())
def test_every_priority_has_a_lane(value: int) -> None:
    assert priority.lane_of(value) in priority.LANES


def test_lanes_of_one_queue_have_different_keys() -> None:
    assert len({priority.lane_key("celery", lane) for lane in priority.LANES}) == 10


@given(backoff=st.floats(0.01, 100), seed=st.integers())
def test_delays_grow_until_they_reach_the_maximum(backoff: float, seed: int) -> None:
    maximum, rng = 600.0, random.Random(seed)
    delays = [retry.delay(attempt, backoff=backoff, maximum=maximum, rng=rng) for attempt in range(1, 30)]
    for earlier, later in pairwise(delays):
        assert later > earlier or later >= maximum
    assert max(delays) <= maximum * (1 + retry.JITTER)


@given(st.integers(), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_delay_is_never_negative(attempt: int, backoff: float, maximum: float) -> None:
    assert 0 <= retry.delay(attempt, backoff=backoff, maximum=maximum, rng=random.Random(0)) <= maximum * (1 + retry.JITTER)


@given(st.integers(1, 1000), st.integers(0, 1000))
def test_a_job_runs_once_more_than_its_retries(attempts: int, max_retries: int) -> None:
    assert retry.can_retry(attempts, max_retries) == (attempts < max_retries + 1)
    assert retry.can_retry(attempts, None)


@given(st.text(), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_number_does_not_split_a_group(text: str, one: int, other: int) -> None:
    assert fingerprint("t", "E", f"{text} {one} end") == fingerprint("t", "E", f"{text} {other} end")


@given(st.text())
def test_a_fingerprint_is_short_and_made_of_any_text(text: str) -> None:
    assert len(fingerprint(text, text, text)) == 32


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        ("user 'ahmad' not found", "user … not found"),
        ("at 0x7f3a2b", "at …"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id …"),
        ("took 1.5 s", "took … s"),
        ("اسم غير معروف", "اسم غير معروف"),
    ],
)
def test_normalise(message: str, normal: str) -> None:
    assert normalise(message) == normal


def test_other_tasks_and_classes_are_other_groups() -> None:
    assert len({fingerprint("a", "E", "m"), fingerprint("b", "E", "m"), fingerprint("a", "F", "m"), fingerprint("a", "E", "n")}) == 4


def test_an_error_without_a_text_says_its_docstring() -> None:
    assert str(errors.PermanentError("gone")) == "gone"
    for kind in errors.JobError.__subclasses__():
        assert str(kind()) == (kind.__doc__ or "").strip() != ""
