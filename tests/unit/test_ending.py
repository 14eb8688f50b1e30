"""A process that keeps its interpreter's lock is ended from outside, with an exit code of its own and the stacks of its threads."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jobs.worker import ending
from jobs.worker.sentry import state

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="message queues of the C library")
HANGS = """
import itertools, os
from jobs.worker import ending
descriptor = ending.prepare()
os.set_inheritable(descriptor, True)
def keeps_the_lock():
    print(os.getpid(), descriptor, flush=True)
    sum(itertools.repeat(0, 20_000_000_000))
keeps_the_lock()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as made:
        yield made
        made.kill()


def descriptor_of(process: subprocess.Popen[str]) -> int:
    """The same queue, in this process."""
    assert process.stdout is not None
    pid, number = map(int, process.stdout.readline().split())
    return os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR)


def test_it_ends_with_its_own_code(process: subprocess.Popen[str]) -> None:
    descriptor = descriptor_of(process)
    ending.stacks(process.pid)
    assert process.stderr is not None
    line = process.stderr.readline()
    while "in keeps_the_lock" not in line:
        line = process.stderr.readline()
        assert line, "the stacks are written"
    assert process.poll() is None, "and it goes on"
    assert ending.end(descriptor)
    assert process.wait(20) == ending.SOFTWARE == 70
    os.close(descriptor)


FORKS = """
import os, signal, time
from jobs.worker import ending
descriptor = ending.prepare()
child = os.fork()
if child == 0:
    signal.pause()
said, says = os.pipe()
other = os.fork()
if other == 0:
    os.read(said, 1)
    ending.end(descriptor)
    signal.pause()
print(child, other, flush=True)
os.write(says, b"!")
time.sleep(60)
"""


def test_its_children_are_not_ended_with_it() -> None:
    """A prefork worker's are its own business."""
    with subprocess.Popen([sys.executable, "-c", FORKS], start_new_session=True, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.wait(20) == 70
            assert process.stdout is not None
            for child in map(int, process.stdout.readline().split()):
                found = state(child)
                assert found is not None
                assert not found.ended
        finally:
            os.killpg(process.pid, signal.SIGKILL)


NO_ROOM = """
import resource
from jobs.worker import ending
resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
print(ending.prepare())
"""


def test_where_no_queue_is_allowed_there_is_none() -> None:
    assert subprocess.run([sys.executable, "-c", NO_ROOM], capture_output=True, text=True, check=True).stdout == "None\n"


HEARS = """
import ctypes, os, signal
from jobs.worker import ending
signal.signal(signal.SIGTERM, lambda *_: None)
handles = ending.handles()
child = os.fork()
if child == 0:
    os.kill(os.getppid(), signal.SIGTERM)
    os._exit(0)
ctypes.PyDLL(None).waitpid(child, None, 0)
print(list(handles.signals()), list(handles.signals()), ending.listen())
"""


def test_signals_are_heard_while_the_lock_is_kept() -> None:
    """And somebody else who hears them is not disturbed."""
    done = subprocess.run([sys.executable, "-c", HEARS], capture_output=True, text=True, check=True)
    assert done.stdout == "[15] [] None\n"


CHILD_IS_TOLD = """
import os, signal
from jobs.worker import ending
handles = ending.handles()
child = os.fork()
if child == 0:
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(len(told))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), list(handles.signals()))
"""


def test_what_a_child_is_told_was_not_told_to_the_worker() -> None:
    """A child of the prefork pool that is recycled sends itself SIGTERM: the worker was not told to stop by that."""
    done = subprocess.run([sys.executable, "-c", CHILD_IS_TOLD], capture_output=True, text=True, check=True)
    assert done.stdout == "1 []\n"
