"""What the leader pushes: the short way writes the message that the long way writes."""

import hashlib
import hmac
import itertools
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psycopg2
import pytest
import redis
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from jobs import masking
from jobs.celery_app import signing
from jobs.celery_app.messages import Row
from jobs.domain import own_failures
from jobs.domain.priority import LANES
from jobs.leader import dispatch, publish, told
from jobs.leader.load import Load
from jobs.worker import unreadable

WHOLE = st.integers(0, 2**31 - 1)
JSON = st.recursive(st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5)
ROWS = st.builds(
    Row, id=st.integers(1, 2**63 - 1), task_id=st.text(), task=st.text(), args=st.lists(JSON).map(json.dumps),
    kwargs=st.dictionaries(st.text(), JSON).map(json.dumps), runs=WHOLE, attempts=WHOLE, max_retries=st.none() | WHOLE,
    timeout=st.none() | WHOLE, autoretry=st.booleans(), options=st.none(), priority=st.integers(0, 9), alone=st.booleans(),
)  # fmt: skip


OPTIONS = st.sampled_from(
    [
        '{"headers": {"redelivered": true, "\\u0000": 1, "\\ud800": "\\ud83d\\ude00", "deep": [{"a": [1.50, -0.0, 1e400]}]}}',
        None, "{}", "null", "[]", '{"headers": {}}', '{"headers": null}', '{"headers": {"origin": "gen1@\\u00fc", "ignore_result": false}}',
        '{"headers": {"id": "x"}}', '{"headers": {"sig": "x"}}', '{"headers": {"root_id": "x", "parent_id": "y"}}',
        '{"properties": {"priority": 3}}', '{"embed": {"chain": []}}',
        '{"headers": {"retries_before": 2}}', '{"headers": {"a": NaN}}', '{"headers": {"a": 1}, "more": {}}',
    ]
)  # fmt: skip


@given(ROWS, OPTIONS, st.text(), st.integers(0, 9))
def test_both_ways_write_the_same_message(row: Row, options: str | None, queue: str, lane: int) -> None:
    row = replace(row, options=options)
    short, long = publish.message(row, (queue, lane)), publish._put_together(row, queue)
    messages = [json.loads(text, parse_constant=str) for text in (short, long)]
    for message in messages:
        del message["headers"]["sig"]  # of the headers in their order, which differs
    assert messages[0] == messages[1]


def as_it_is(row: Row) -> Row:
    return row


def test_pieces_keep_the_order_and_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_message", lambda row, lane: row.args)
    long, short = (Row(1, "a", "b", "x" * length, "{}", 0, 0, 3, None, True, None, 5) for length in (publish.PIECE + 1, publish.PIECE // 2))
    batch = {("q", 7): [short, short, short], ("q", 0): [short, long], ("r", 7): [short]}
    found = list(publish.pieces(batch, as_it_is))
    assert [[(lane, len(rows)) for lane, rows in sent.items()] for sent, _ in found] == [
        [(("q", 0), 1)], [(("q", 0), 1)], [(("q", 7), 2)], [(("q", 7), 1), (("r", 7), 1)],
    ]  # fmt: skip
    assert all(command[:2] == ("LPUSH", publish.key(lane)) for sent, pushes in found for lane, command in zip(sent, pushes, strict=True))
    assert [len(command) - 2 for _, pushes in found for command in pushes] == [1, 1, 2, 1, 1]
    assert list(publish.pieces({}, as_it_is)) == [({}, [])]


def test_a_piece_that_is_refused_keeps_no_other_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "PIECE", 1)
    link = mock.MagicMock()
    link.line.ask_all.side_effect = [redis.ResponseError("OOM"), [1, 0, 1], redis.ResponseError("OOM again")]
    leader = dispatch.Leader(mock.MagicMock(), link, Load(), again=False)
    rows = [Row(id, "a", "b", "[]", "{}", 0, 0, 3, None, True, None, 5) for id in (1, 2, 3)]
    with pytest.raises(redis.ResponseError, match=r"OOM$"):
        leader.push({("q", 4): rows[:2], ("q", 5): rows[2:]})
    assert list(leader.window._all()) == [rows[1].sent]
    link.taken.assert_not_called()


def test_one_that_pushes_for_long_shows_that_it_works_and_ends_when_it_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "PIECE", 1)
    seconds = itertools.count()
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    connection, link = mock.MagicMock(), mock.MagicMock()
    link.line.ask_all.return_value = [1, 0]
    leader = dispatch.Leader(connection, link, Load(), again=False)
    leader.cursor.execute.side_effect = [None, None, psycopg2.OperationalError("terminated")]
    rows = [Row(id, "a", "b", "[]", "{}", 0, 0, 3, None, True, None, 5) for id in range(9)]
    with pytest.raises(psycopg2.OperationalError, match="terminated"):
        leader.push({("q", 4): rows})
    assert link.line.ask_all.call_count == 2


def test_a_row_that_cannot_be_made_a_message_of_stops_no_other(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(publish, "message", lambda row, lane: str(100 // row.attempts))
    first, bad, last = (Row(attempts, "a", "b", "[]", "{}", 0, attempts, 3, None, True, None, 5) for attempts in (1, 0, 2))
    ((sent, pushes),) = publish.pieces({("q", 4): [first, bad, last]}, as_it_is)
    assert (sent, pushes) == ({("q", 4): [first, last]}, [("LPUSH", publish.key(("q", 4)), "100", "50")])
    assert "A job cannot be made a message of, and waits: 0: ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("length", [300, 900], ids=["with its escapes", "already as a row"])
def test_a_job_that_redis_does_not_take_is_sent_without_its_arguments(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Redis would close the connection each time, and no job of this or of a lower priority would ever be sent again."""
    first, last = (Row(id, "a", "b", '["x"]', "{}", 0, 0, 3, None, True, None, 5) for id in (1, 3))
    long = replace(first, id=2, args=json.dumps(["\u0627" * length], ensure_ascii=False), options='{"embed": {"chain": []}}')
    monkeypatch.setattr(publish, "LONGEST", len(publish.message(first, ("q", 4))) + 500)
    ((sent, [(_, _, *texts)]),) = publish.pieces({("q", 4): [first, long, last]}, as_it_is)
    assert [row.id for row in sent["q", 4]] == [1, 2, 3]
    assert max(map(len, texts)) <= publish.LONGEST
    found = [json.loads(text) for text in texts]
    assert [signing.verify(message["headers"], message["body"]) for message in found] == [True] * 3
    problems = [unreadable.problem(SimpleNamespace(payload=json.loads(message["body"]))) for message in found]
    assert problems == ["", own_failures.TOO_LONG_FOR_REDIS, ""], "the worker buries it"


def test_what_masks_the_arguments_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "positional", mock.Mock(side_effect=SyntaxError))
    row = Row(1, "a", "b", '["secret"]', "{}", 0, 0, 3, None, True, None, 5)
    assert json.loads(publish.message(row, ("q", 4)))["headers"]["argsrepr"] == "…"


@pytest.mark.parametrize(
    ("options", "is_short"), [(None, True), ('{"headers": {"origin": "x"}}', True), ('{"headers": {"root_id": "x"}}', False)]
)
def test_the_short_way_is_taken(monkeypatch: pytest.MonkeyPatch, options: str | None, is_short: bool) -> None:
    monkeypatch.setattr(publish, "_put_together", lambda row, queue: "put together")
    row = Row(1, "a", "b", "[]", "{}", 0, 0, 3, None, True, options, 5)
    assert (publish.message(row, ("celery", 4)) != "put together") == is_short


@given(st.dictionaries(st.text().filter(lambda name: name not in signing.UNSIGNED), JSON, min_size=1), st.text())
def test_a_signature_is_an_hmac_of_sha_256(headers: dict[str, Any], body: str) -> None:
    key = hashlib.sha256(b"jobs.message\0" + settings.SECRET_KEY.encode()).digest()
    names = "\0".join(headers) if "\0" not in "".join(headers) else ascii([*headers])
    text = f"{names}\0{[*headers.values()]!a}\0{body}".encode("utf-8", "surrogatepass")
    assert signing.sign(headers, body) == hmac.digest(key, text, "sha256").hex()


@given(ROWS, OPTIONS, st.text())
def test_what_is_written_is_verified(row: Row, options: str | None, queue: str) -> None:
    row = replace(row, options=options)
    for text in (publish.message(row, (queue, 4)), publish._put_together(row, queue)):
        message = json.loads(text)
        assert signing.verify(message["headers"], message["body"])


def test_names_of_headers_are_not_taken_for_others() -> None:
    assert signing.sign({"a\0b": 1, "c": 2}, "") != signing.sign({"a": 1, "b\0c": 2}, "")
    assert signing.sign({"a": 1, "b": 2}, "") != signing.sign({"a\0b": 1}, "")


def test_what_lies_in_a_lane_leaves_less_room_there_and_in_the_lower_ones_of_its_queue() -> None:
    leader = dispatch.Leader(mock.MagicMock(), mock.MagicMock(), Load(), again=False)
    leader.rescue.live = {1: ["celery", "mail"], 2: ["celery"]}
    leader.window.add(("celery", 2), [(id, 0, 7) for id in range(100)])
    leader.window.add(("celery", 4), [(id, 0, 5) for id in range(60)])
    rooms = leader.rooms()
    assert [lane for _, lane in rooms] == sorted([*LANES, *LANES])
    assert [rooms["celery", lane] for lane in LANES] == [128, 128, 28, 28, 0, 0, 0, 0, 0, 0]
    assert [rooms["mail", lane] for lane in LANES] == [64] * 10


def told_of(queue: str, row: Row) -> str:
    """What the trigger of migration 0021 says of a row."""
    columns = [
        row.id, row.task_id, row.task, row.args, row.kwargs, row.runs, row.attempts, row.max_retries, row.timeout, row.autoretry,
        row.options, row.priority,
    ]  # fmt: skip
    return json.dumps([queue, *columns])


@given(ROWS, OPTIONS, st.text())
def test_a_row_that_is_told_is_read(row: Row, options: str | None, queue: str) -> None:
    row = replace(row, options=options, alone=False)
    assert told.read(told_of(queue, row)) == (queue, row)


@given(st.text() | JSON.map(json.dumps) | st.lists(JSON, min_size=13, max_size=13).map(json.dumps))
def test_what_tells_no_row_is_not_read(text: str) -> None:
    assert told.read(text) is None


@pytest.mark.parametrize(
    ("place", "value"), [(0, 1), (1, "1"), (1, None), (2, 7), (4, [0]), (8, "3"), (10, 1), (11, {}), (12, 10), (12, -1)]
)
def test_a_row_of_another_kind_is_not_read(place: int, value: Any) -> None:
    values = ["celery", 1, "id", "t", "[]", "{}", 0, 0, 3, None, True, None, 5]
    assert told.read(json.dumps(values)) is not None
    values[place] = value
    assert told.read(json.dumps(values)) is None
    assert told.read(json.dumps(values[:-1])) is None
    assert told.read(json.dumps([*values, 1])) is None
    assert told.read("[" * 100_000) is None


@pytest.mark.parametrize(("room", "is_sent"), [(1, True), (0, False), (None, False)])
def test_a_job_that_is_told_is_sent_where_its_lane_has_room(room: int | None, is_sent: bool) -> None:
    """Where it has none, or nobody serves its queue, the job is left to the next question."""
    row, lane = Row(1, "id", "t", "[]", "{}", 0, 0, 3, None, True, None, 5), ("celery", 4)
    told_job = told.Told()
    told_job.is_private = True
    told_job.hear([SimpleNamespace(payload=told_of("celery", row))])
    assert told_job.take({("celery", 3): 9} | ({} if room is None else {lane: room})) == ((lane, row) if is_sent else None)
    assert told_job.job is None
