"""What is read from rows, shown or filled in goes by the database's clock: no other module there asks the host what time it is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "jobs"
PLACES = ("admin", "management", "models", "store", "verification", "web")
OWN = {"store/clock.py"}
HOST = re.compile(
    r"\btimezone\.now\b|\b(datetime|date)\.(now|utcnow|today)\b|\btime\.(time|localtime|gmtime|ctime|strftime)\b|\blocal(time|date)\(\)"
    r"|\bfrom time import\b.*\btime\b|\bfrom django\.utils\.timezone import\b.*\bnow\b"
)


def test_no_other_module_asks_the_host_for_the_time() -> None:
    files = [path for place in PLACES for path in (ROOT / place).rglob("*.py")]
    names = {path.relative_to(ROOT).as_posix() for path in files if HOST.search(path.read_text("utf-8"))}
    assert names == OWN


@pytest.mark.parametrize(
    "line", ["now = timezone.now()", "datetime.now(UTC)", "time.time()", "x = localdate()", "from time import sleep, time"]
)
def test_the_check_sees_one_that_does(line: str) -> None:
    assert HOST.search(line)
    assert not HOST.search("time.monotonic(), clock.now(), localtime(value), from time import monotonic")
