"""The lists of a worker with several queues: the highest lane first, and within a lane whose turn it is."""

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError

from jobs.domain.priority import LANES
from jobs.worker.oldest import Lanes

FIRST = ["jobs:mail", "jobs:celery"]


class Popper:
    """Always finds something in the first list."""

    def __init__(self, answer: Any) -> None:
        self.line = SimpleNamespace(ask=mock.Mock(side_effect=answer))
        self.gathering = mock.Mock()
        self.seen: list[tuple[list[str], int]] = []

    def pop(self, keys: list[str], most: int) -> tuple[str, list[Any]]:
        self.seen.append((keys, most))
        return keys[0], ["message"]


def lanes(strategy: Any, *queues: str) -> Lanes:
    made = Lanes("jobs:", strategy)
    made.serve(queues)
    return made


def firsts(made: Lanes, popper: Popper, times: int) -> list[list[str]]:
    """The lists of the highest lane, as the worker looks into them one time after the other."""
    for _ in range(times):
        made.pop(popper, 4)  # type: ignore[arg-type]
    return [keys[:2] for keys, _ in popper.seen]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("round_robin", [FIRST, FIRST[::-1], FIRST]),
        ("priority", [FIRST] * 3),
        ("sorted", [FIRST[::-1]] * 3),
        ("kombu.utils.scheduling:priority_cycle", [FIRST] * 3),
    ],
)
def test_a_projects_own_order_is_followed(strategy: str, expected: list[list[str]]) -> None:
    popper = Popper(AssertionError)
    assert firsts(lanes(strategy, "mail", "celery"), popper, 3) == expected
    keys, most = popper.seen[1]
    assert [key.partition("\x06")[0] for key in keys] == expected[1] * len(LANES)
    assert [key.partition("\x16")[2] for key in keys[::2]] == ["", *map(str, LANES[1:])]
    assert most == 4


@pytest.mark.parametrize(
    "refusal", [NoPermissionError("no permissions to run the 'eval' command"), ResponseError("unknown command 'EVAL'")]
)
def test_where_redis_runs_no_script_they_take_turns(refusal: ResponseError, caplog: pytest.LogCaptureFixture) -> None:
    popper = Popper([refusal])
    assert firsts(lanes(None, "mail", "celery"), popper, 3) == [FIRST, FIRST[::-1], FIRST]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_any_other_refusal_is_none_of_the_script() -> None:
    with pytest.raises(ReadOnlyError):
        firsts(lanes(None, "mail", "celery"), Popper([ReadOnlyError("a replica")]), 1)


def test_one_queue_is_popped_as_ever() -> None:
    popper, made = Popper(AssertionError), lanes(None, "mail")
    firsts(made, popper, 2)
    assert popper.seen == [([f"jobs:mail{'' if lane == 0 else f'{chr(6)}{chr(22)}{lane}'}" for lane in LANES], 4)] * 2
    assert popper.seen[0][0] is popper.seen[1][0]
    popper.gathering.end.assert_not_called()


def test_what_comes_while_it_waits_is_taken_one_by_one() -> None:
    """The next look knows which of the others are the oldest."""
    popper, made = Popper([None, [b"jobs:celery", "a", b"jobs:mail", "b"]]), lanes(None, "mail", "celery")
    assert made.pop(popper, 4) == [("jobs:mail", ["message"])]  # type: ignore[arg-type]
    assert popper.seen[0][1] == 1
    assert made.pop(popper, 3) == [("jobs:celery", ["a"]), ("jobs:mail", ["b"])]  # type: ignore[arg-type]
