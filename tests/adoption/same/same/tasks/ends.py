"""Values that are returned, and errors that are raised."""

import builtins
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum

import celery
from celery import shared_task
from celery.utils.log import get_task_logger

logger = get_task_logger(__name__)


class OutOfStock(Exception):
    def __init__(self, item, left=0):
        super().__init__(item, left)
        self.item, self.left = item, left


class Picky(Exception):
    """Cannot be made again from its args."""

    def __init__(self, *, code):
        super().__init__(f"code {code}")
        self.code = code


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("held")
        self.generator = (n for n in range(3))


class Colour(Enum):
    RED = "red"


@shared_task
def fail(*args, **kwargs):
    raise OutOfStock("pear", 3)


@shared_task
def raises(kind):
    if kind == "picky":
        raise Picky(code=4)
    if kind == "unpicklable":
        raise Unpicklable
    if kind == "cause":
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer", 1, {"a": [1]}) from error
    if kind == "exit":
        raise SystemExit(3)
    if kind == "group":
        raise ExceptionGroup("many", [ValueError(1), TypeError("two")])
    if kind == "unicode":
        raise ValueError("خطأ ✗")
    if kind == "empty":
        raise ValueError
    if kind == "local":

        class Local(Exception):
            pass

        raise Local("here")
    if kind == "timeout":
        raise celery.exceptions.TimeoutError("inside")
    raise getattr(builtins, kind)("plain")


@shared_task
def returns(kind):
    return {
        "none": None,
        "tuple": (1, 2, (3,)),
        "intkeys": {1: "a", 2: "b"},
        "datetime": datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
        "naive": datetime(2026, 1, 2, 3, 4),
        "date": datetime(2026, 1, 2, tzinfo=UTC).date(),
        "decimal": Decimal("1.10"),
        "uuid": uuid.UUID(int=7),
        "bytes": b"\x00\xff",
        "unicode": "سلام\u2028",
        "float": 0.1,
        "big": 10**30,
        "bool": True,
        "nested": {"a": [{"b": None}]},
        "text": "x" * 100_000,
        "str enum": Colour.RED.value,
    }[kind]


@shared_task
def returns_unencodable(kind):
    return {
        "object": object(),
        "set": {1},
        "delta": timedelta(seconds=3),
        "generator": (n for n in range(3)),
        "exception": ValueError("v"),
        "nan": float("nan"),
    }[kind]


@shared_task(throws=(KeyError,))
def expected():
    raise KeyError("expected")
