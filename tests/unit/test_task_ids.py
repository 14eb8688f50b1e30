"""The ids of jobs are UUIDs that follow each other."""

import itertools
import time
import uuid

import pytest

from jobs.domain import task_ids


@pytest.mark.parametrize("made", [[task_ids.make() for _ in range(1000)], task_ids.make_many(1000)], ids=["one by one", "together"])
def test_they_are_uuids_of_version_7(made: list[str]) -> None:
    assert len(set(made)) == len(made)
    for text in made:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 7, uuid.RFC_4122)


def test_a_later_one_sorts_behind_an_earlier_one() -> None:
    """By the millisecond, as text and as bytes."""
    made = []
    for _ in range(5):
        made.append(task_ids.make())
        before = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == before:
            pass
    assert all(first < second for first, second in itertools.pairwise(made))
    assert abs(int(made[-1].replace("-", "")[:12], 16) / 1000 - time.time()) < 10
