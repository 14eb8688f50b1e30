"""Real servers for every run of the tests: embedded, in a folder of their own, on unix sockets; gone when pytest ends, however it ends."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from contextlib import suppress
from functools import cache
from pathlib import Path

import django
import hypothesis
import psycopg2
import pytest
from django.conf import settings
from django.db import connection, connections

from jobs.dev import embedded
from tests import emptying
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]
FAST = embedded.Options(
    postgres={"fsync": "off", "full_page_writes": "off", "max_connections": "300", "log_min_messages": "fatal"},
    redis={"appendonly": "no"},
)
_PLACE = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
_OTHERS = """SELECT pid, application_name, state, query FROM pg_stat_activity
WHERE datname = %s AND backend_type = 'client backend' AND pid <> %s"""
hypothesis.settings.register_profile("unhurried", deadline=None)  # a loaded machine is no failure
hypothesis.settings.load_profile("unhurried")
_guard = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and name them in the environment, before pytest-django reads the settings.

    With `-n` each of pytest's processes has servers of its own, and the one that only hands out tests has none.
    """
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)  # or they would read the settings before this function has named the servers
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job; programs of the tests are to hear Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith(("JOBS_", "EMAIL_", "DJANGO_", "PG"))]:
        del os.environ[name]  # a developer's own settings do not change what the tests see
    data_dir = Path(tempfile.mkdtemp(prefix="jobs-test-"))
    config.stash[_guard] = _guard_process(data_dir)
    named = {name: os.environ.get(f"TEST_{name}", "") for name in embedded.BOTH}
    started = embedded.start(data_dir, wanted=[name for name in named if not named[name]], options=FAST)
    os.environ.update({**named, **started})
    os.environ.update({"ENV_FILE": "", "DATA_DIR": str(data_dir), "DEBUG": "True", "SECRET_KEY": "only-for-tests-" * 4})
    os.environ["DJANGO_SETTINGS_MODULE"] = "task_queue_project.settings"
    # Playwright keeps an event loop in the main thread, where Django would refuse plain queries, also those that make the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    django.setup()
    # One connection for each thread: with asgiref's Local it would be another one while that loop runs, and nobody would close it.
    connections._connections = threading.local()
    emptying.install()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # each test makes its users: no second for each hash


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the guard stop the servers, and wait for it."""
    guard = config.stash.get(_guard, None)
    if guard is not None and guard.stdin is not None:
        guard.stdin.close()
        guard.wait(timeout=30)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each file whole, in the order of `testpaths`: with the long ones first, none is left running when the others are done.

    Of a file the tests that share a worker come first, one after the other.
    """
    places = [str(ROOT / path) + os.sep for path in config.getini("testpaths")]

    @cache
    def of_file(path: str) -> tuple[int, str]:
        return next((number for number, folder in enumerate(places) if path.startswith(folder)), len(places)), path

    items.sort(key=lambda item: (of_file(str(item.path)), "worker_of_module" not in getattr(item, "fixturenames", ())))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """A test that leaves a session on the test database fails: the database could not be dropped at the end."""
    result = yield
    uses_it = item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    if nextitem is not None and uses_it and not emptying.is_shared():
        _no_session_left()
    return result


def _no_session_left() -> None:
    own = connection.connection.info.backend_pid if connection.connection is not None and not connection.connection.closed else 0
    database = connection.settings_dict["NAME"]
    with _beside().cursor() as cursor:

        def others() -> list[tuple[int, str, str, str]]:
            cursor.execute(_OTHERS, (database, own))
            return cursor.fetchall()

        with suppress(AssertionError):
            until(lambda: not others(), timeout=10, what="every session of the test has ended")
        assert not others(), "sessions that the test has left open"


@cache
def _beside() -> psycopg2.extensions.connection:
    """A session in another database of the server, where it keeps nobody from dropping that of the tests."""
    named = {name: connection.settings_dict[setting] for name, setting in _PLACE.items() if connection.settings_dict[setting]}
    looking = psycopg2.connect(**named | {"dbname": "postgres"})
    looking.autocommit = True
    return looking


def _guard_process(data_dir: Path) -> subprocess.Popen[bytes]:
    """A child that reads until our end of its pipe closes (also when we are killed), then stops the servers."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.conftest", str(data_dir)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


if __name__ == "__main__":
    sys.stdin.read()
    embedded.stop(Path(sys.argv[1]))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
