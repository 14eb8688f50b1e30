"""How soon a worker sees that the leader's process beside it has died."""

import errno
import signal
import subprocess
import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from celery import current_app
from django.db import connection

from jobs.store import leadership
from jobs.worker import leader_child, sentry
from tests.waiting import until


def test_deaths_are_seen_later_only_while_they_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses, dies = [100.0], list[float](), [True] * 6 + [False] * 20 + [True, False]

    def wait(pause: float) -> bool:
        pauses.append(pause)
        now[0] += pause
        return len(pauses) > len(dies)

    monkeypatch.setattr(leader_child, "time", SimpleNamespace(monotonic=lambda: now[0]))
    child = leader_child.LeaderChild.__new__(leader_child.LeaderChild)
    child.ending = SimpleNamespace(wait=wait)
    child.child = SimpleNamespace(poll=lambda: 1 if dies[len(pauses) - 1] else None, returncode=1)
    child._spawn = lambda: None  # type: ignore[method-assign]
    child._tend()
    assert pauses[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    steady = pauses.index(0.5, 1)
    assert sum(pauses[6:steady]) > leader_child.STEADY_S
    assert pauses[steady:] == [0.5] * (27 - steady) + [1.0] * 2


def test_one_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """At a limit of processes, say: the next pause may bring one."""
    tries, looks = list[int](), list[float]()

    def spawn() -> None:
        tries.append(len(looks))
        if len(tries) < 3:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        child.child = SimpleNamespace(poll=lambda: None)

    child = leader_child.LeaderChild.__new__(leader_child.LeaderChild)
    child.ending = SimpleNamespace(wait=lambda pause: looks.append(pause) or len(looks) > 5)
    child.child = SimpleNamespace(poll=lambda: -9, returncode=-9)
    child._spawn = spawn  # type: ignore[method-assign]
    child._tend()
    assert tries == [1, 2, 3]
    assert caplog.text.count("cannot be started (") == 2


def test_one_that_leads_and_does_nothing_is_killed_at_the_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one that has done something in between, nor while PostgreSQL is away; the next one has two looks too."""
    now, asked, killed = [100.0], list[int](), list[int]()
    found = [7, None, 7, 8, 7, psycopg2.OperationalError(), 7, 7, 7]

    def stuck(cursor: object) -> int | None:
        asked.append(len(asked))
        answer = found[asked[-1]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(pause: float) -> bool:
        now[0] += leader_child.WORK_S
        return len(asked) == len(found)

    monkeypatch.setattr(leader_child, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(leadership, "stuck", stuck)
    child = leader_child.LeaderChild.__new__(leader_child.LeaderChild)
    child.ending = SimpleNamespace(wait=wait)
    child.child = SimpleNamespace(poll=lambda: None, pid=7, kill=lambda: killed.append(asked[-1]))
    child.engine = SimpleNamespace(registration=SimpleNamespace(cursor=nullcontext))
    child._tend()
    assert killed == [7]


def test_it_is_given_the_database_and_the_keys_of_its_worker(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a test are not what its settings module says, which the child reads."""
    settings.JOBS_KEY_PREFIX = "of a test:"
    monkeypatch.setattr(leader_child.LeaderChild, "_spawn", lambda child: None)
    child = leader_child.LeaderChild.__new__(leader_child.LeaderChild)
    child.child, child.ending = None, threading.Event()
    child.start(SimpleNamespace(engine=None, app=current_app))
    child.ending.set()
    assert child.options[:2] == ["--key-prefix=of a test:", f"--database-name={connection.settings_dict['NAME']}"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing is stopped here")
@pytest.mark.parametrize("is_stopped", [True, False])
def test_one_that_is_stopped_does_not_outlive_its_worker(is_stopped: bool) -> None:
    """Frozen it does not see that its standard input is closed; one that is merely slow is left alone."""
    with subprocess.Popen(["sleep", "30"]) as child:
        try:
            if is_stopped:
                child.send_signal(signal.SIGSTOP)
                until(lambda: (found := sentry.state(child.pid)) is not None and found.stopped, timeout=10, what="it is stopped")
            leader_child.LeaderChild.__new__(leader_child.LeaderChild)._reap(child)
            if is_stopped:
                assert child.wait(10) == -signal.SIGKILL
            assert is_stopped or child.poll() is None
        finally:
            child.kill()
