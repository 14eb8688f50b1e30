"""A held connection to Redis: what goes wrong on it is told, and nothing of it is taken for the answer to the next question."""

import pytest
import redis
from django.conf import settings

from jobs.store import broker
from jobs.store.broker import Line

KEY = "test-line"


@pytest.fixture
def line() -> Line:
    client = broker.client(settings.CELERY_BROKER_URL)
    client.delete(KEY)
    return Line(client)


def test_answers_come_in_the_order_of_the_questions(line: Line) -> None:
    assert line.ask_all([("LPUSH", KEY, "one", "two"), ("LLEN", KEY), ("LRANGE", KEY, 0, -1)]) == [2, 2, [b"two", b"one"]]
    assert line.ask("LMPOP", 1, KEY, "RIGHT", "COUNT", 2) == [KEY.encode(), [b"one", b"two"]]
    assert line.ask("LMPOP", 1, KEY, "RIGHT", "COUNT", 2) is None


def test_one_that_is_refused_holds_up_no_other(line: Line) -> None:
    with pytest.raises(redis.ResponseError):
        line.ask_all([("LPUSH", KEY, "one"), ("GET", KEY), ("LPUSH", KEY, "two")])
    assert line.ask("LLEN", KEY) == 2


def test_it_connects_again_after_it_was_cut(line: Line) -> None:
    number = line.ask("CLIENT", "ID")
    broker.client(settings.CELERY_BROKER_URL).execute_command("CLIENT", "KILL", "ID", number)
    with pytest.raises(redis.ConnectionError):
        line.ask("LLEN", KEY)
    assert line.ask("LLEN", KEY) == 0
    assert line.ask("CLIENT", "ID") != number


def test_an_answer_that_was_not_waited_for_is_nobodys() -> None:
    line = Line(broker.client(settings.CELERY_BROKER_URL, timeout=0.05))
    with pytest.raises(redis.TimeoutError):
        line.ask("BLPOP", KEY, 1)
    assert line.ask("ECHO", "mine") == b"mine"
