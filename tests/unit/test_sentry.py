"""Whom the sentry ends: who is long past a deadline and was not stopped, and nobody else."""

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from jobs.celery_app.deadline_board import PLACES, Board
from jobs.worker.ending import Handles
from jobs.worker.sentry import GAP_S, LATE_S, MUTE_S, SILENT_S, Sentry, State, logger, state
from tests.waiting import until

STEP = GAP_S / 2


@pytest.fixture
def board() -> Board:
    made = Board.make()
    assert made is not None
    return made


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@contextmanager
def heard(*numbers: int) -> Iterator[Handles]:
    """As if these signals had reached the worker."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    os.write(writes, bytes(numbers))
    yield Handles(told=reads)
    os.close(reads)
    os.close(writes)


def looks(sentry: Sentry, begin: float, seconds: float) -> list[int]:
    """What it finds while it looks again and again."""
    found: set[int] = set()
    for number in range(int(seconds / STEP) + 1):
        found.update(sentry.look(begin + number * STEP))
    return sorted(found)


def test_only_who_is_long_past_its_deadline_is_ended(board: Board) -> None:
    sentry = Sentry(board, os.getpid())
    begin = sentry.looked
    board.write(0, begin + 10, 0.0)
    assert looks(sentry, begin, 10 + SILENT_S) == []
    assert looks(sentry, begin + 10 + SILENT_S + STEP, 2 * STEP) == [os.getpid()]


def test_a_deadline_that_was_met_is_forgotten(board: Board) -> None:
    sentry = Sentry(board, os.getpid())
    begin = sentry.looked
    board.write(0, begin, 0.0)
    assert looks(sentry, begin, SILENT_S) == []
    board.write(0, math.inf, 0.0)
    assert looks(sentry, begin + SILENT_S, 60) == []
    board.write(0, begin + SILENT_S, 0.0)
    assert looks(sentry, begin + SILENT_S + 60, SILENT_S) == [], "it begins to count anew"


def test_a_worker_that_was_told_to_stop_has_its_grace_and_lives_while_it_answers(board: Board) -> None:
    with heard(signal.SIGTERM) as handles:
        sentry = Sentry(board, os.getpid(), handles, grace=10)
        begin = sentry.looked
        board.write(0, math.inf, begin)
        assert looks(sentry, begin, 10 + LATE_S) == []
        board.write(0, math.inf, begin + 10 + LATE_S)
        assert looks(sentry, begin + 10 + LATE_S, MUTE_S) == [], "it wrote meanwhile"
        assert looks(sentry, begin + 10 + LATE_S + MUTE_S, 2 * MUTE_S + STEP) == [os.getpid()]


@pytest.mark.parametrize("numbers", [(), (signal.SIGUSR1, signal.SIGCHLD)])
def test_a_mute_worker_that_nobody_told_to_stop_is_left_alone(board: Board, numbers: tuple[int, ...]) -> None:
    with heard(*numbers) as handles:
        sentry = Sentry(board, os.getpid(), handles, grace=1)
        board.write(0, math.inf, sentry.looked)
        assert looks(sentry, sentry.looked, 600) == []


def test_time_in_which_nobody_looked_does_not_count(board: Board) -> None:
    sentry = Sentry(board, os.getpid())
    begin = sentry.looked
    board.write(0, begin, 0.0)
    assert looks(sentry, begin, SILENT_S - STEP) == []
    assert looks(sentry, begin + 600, SILENT_S) == []


def test_a_stopped_process_is_not_ended_before_it_had_its_time(board: Board, stranger: subprocess.Popen[bytes]) -> None:
    sentry = Sentry(board, os.getpid())
    begin = sentry.looked
    _write_for(board, stranger.pid, begin)
    stranger.send_signal(signal.SIGSTOP)
    until(lambda: _state(stranger).stopped, what="it is stopped")
    assert looks(sentry, begin, 60) == []
    stranger.send_signal(signal.SIGCONT)
    until(lambda: not _state(stranger).stopped, what="it goes on")
    assert looks(sentry, begin + 60, SILENT_S) == []
    assert looks(sentry, begin + 60 + SILENT_S + STEP, STEP) == [stranger.pid]


def test_who_does_not_answer_is_ended_though_nobody_takes_the_log(board: Board, stranger: subprocess.Popen[bytes]) -> None:
    """The worker and the process beside it have the same stderr."""
    taken = threading.Event()
    with mock.patch.object(logger, "critical", side_effect=lambda *_: taken.wait(30)):
        ending = threading.Thread(target=Sentry(board, os.getpid())._end, args=(stranger.pid,))
        ending.start()
        assert stranger.wait(20) == -signal.SIGABRT
        taken.set()
        ending.join(20)


def test_a_number_that_belongs_to_somebody_else_by_now_is_left_alone(board: Board, stranger: subprocess.Popen[bytes]) -> None:
    sentry = Sentry(board, 2**30)  # no process has this number
    board.write(0, sentry.looked, 0.0)  # this process is not of that worker
    _write_for(board, stranger.pid, sentry.looked)
    assert looks(sentry, sentry.looked, 60) == []


def test_a_child_that_ended_is_left_alone(board: Board, stranger: subprocess.Popen[bytes]) -> None:
    sentry = Sentry(board, os.getpid())
    _write_for(board, stranger.pid, sentry.looked)
    stranger.kill()
    until(lambda: _state(stranger).ended, what="it waits for its parent")
    assert looks(sentry, sentry.looked, 60) == []
    stranger.wait()
    assert state(stranger.pid) is None


def test_another_process_reads_what_was_written(board: Board) -> None:
    board.write(0, 1.5, 0.0)
    board.write(PLACES, 1.5, 0.0)  # no such place: left out
    code = f"from jobs.celery_app.deadline_board import Board; print(*Board({board.descriptor}).passed(1.6))"
    read = subprocess.run([sys.executable, "-c", code], pass_fds=(board.descriptor,), capture_output=True, text=True, check=True)
    assert read.stdout.split() == [str(os.getpid())]


def _state(process: subprocess.Popen[bytes]) -> State:
    found = state(process.pid)
    assert found is not None
    return found


def _write_for(board: Board, pid: int, ends: float) -> None:
    with mock.patch("os.getpid", return_value=pid):
        board.write(1, ends, 0.0)
