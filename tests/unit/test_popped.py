"""A popped message reads its body as kombu does, and none that is compressed before it is known whose it is."""

import bz2
import lzma
import tracemalloc
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.serialization import registry
from kombu.transport import virtual
from kombu.utils import json

from jobs.celery_app import sealed, transport
from jobs.worker.popped import JSON, Popped

BODIES = (
    '[[1, "a", null], {}, {"callbacks": null}]',
    '[[{"__type__": "datetime", "__value__": "2026-01-02T03:04:05+00:00"}, {"__type__": "float", "__value__": "inf"}], {}, {}]',
    "[[123456789012345678901234567890, 1e400], {}, {}]",
    '"text"',
)
BAD = ("", "[1", '{"__type__": "unknown", "__value__": 1}', "[" * 100_000, '[["\\ud800"]]')


def message(kind: Any, body: str, *, content_type: str = JSON, accept: Any = (JSON,)) -> Any:
    made = kind(
        {"body": body, "content-type": content_type, "content-encoding": "utf-8", "headers": {}, "properties": {"delivery_tag": "1.1"}},
        channel=SimpleNamespace(decode_body=lambda body, encoding: body),
    )
    made.accept = accept
    return made


def read(kind: Any, *args: Any, **options: Any) -> Any:
    try:
        return message(kind, *args, **options).payload
    except (DecodeError, ContentDisallowed) as error:
        return type(error), str(error)


@pytest.mark.parametrize("body", [*BODIES, *BAD], ids=lambda body: body[:20])
def test_what_comes_out_is_what_kombu_reads(body: str) -> None:
    assert read(Popped, body) == read(virtual.Message, body)


def test_content_that_is_not_accepted_is_refused() -> None:
    assert read(Popped, "[1]", accept={"application/x-yaml"})[0] is ContentDisallowed
    assert read(Popped, "[1]", content_type="application/x-yaml")[0] is ContentDisallowed
    assert read(Popped, "[1]", accept=None) == [1]


def test_it_is_read_once() -> None:
    found = message(Popped, "[[], {}, {}]")
    assert found.payload is found.payload is found.decode()


def test_a_projects_own_reader_of_json_is_asked() -> None:
    registry.register("json", json.dumps, lambda text: ["theirs", json.loads(text)], content_type=JSON, content_encoding="utf-8")
    try:
        assert read(Popped, "[1]") == ["theirs", [1]]
    finally:
        registry.register("json", json.dumps, json.loads, content_type=JSON, content_encoding="utf-8")
    assert read(Popped, "[1]") == [1]


def compressed(kind: Any, body: bytes) -> Any:
    payload = {
        "body": body, "content-type": JSON, "content-encoding": "utf-8", "headers": {"compression": "zlib", "id": "x"},
        "properties": {"delivery_tag": "1.1"},
    }  # fmt: skip
    return kind(payload, channel=SimpleNamespace(decode_body=lambda body, encoding: body), accept=(JSON,))


@pytest.mark.parametrize("kind", [Popped, transport.Connection("redis://").get_transport_cls().Channel.Message])
def test_a_message_is_decompressed_only_when_it_is_read(kind: Any) -> None:
    """Else who may write to Redis ends a worker, and with it what runs there, by a message of some kilobytes that no worker would run."""
    zeros = zlib.compress(b"1" * 20_000_000)
    tracemalloc.start()
    try:
        bomb = compressed(kind, zeros)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert bomb.headers == {"compression": "zlib", "id": "x"}
    call = zlib.compress(b"[[1], {}, {}]")
    assert compressed(kind, call).payload == compressed(virtual.Message, call).payload == [[1], {}, {}]


@pytest.mark.parametrize(("name", "pack"), [("zlib", zlib.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)])
def test_what_a_message_may_become_is_bounded(monkeypatch: pytest.MonkeyPatch, name: str, pack: Any) -> None:
    """Of another program, under JOBS_ACCEPT_FOREIGN, one of some kilobytes would end the worker."""
    monkeypatch.setattr(sealed, "MOST", 1_000_000)
    bomb = compressed(Popped, pack(b"1" * 20_000_000))
    bomb.headers["compression"] = name
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="unpacked, it is longer than 1000000 bytes"):
            bomb.decode()
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    whole = compressed(Popped, pack(b"[[1], {}, {}]"))
    whole.headers["compression"] = name
    assert whole.payload == [[1], {}, {}]
