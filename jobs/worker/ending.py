"""Lets the process beside a worker end it with an exit code of the worker's own, though nothing in it can run any Python.

A C call that keeps the interpreter's lock keeps every thread of the interpreter from running, and a signal gives a process no exit
code but that of the signal. The C library's own threads need no such lock: told by `mq_notify` to call `_exit` when the first
message reaches a queue, they end the process with the code that stands ready (mq_notify(3), sigevent(7)).
"""

import ctypes
import faulthandler
import os
import signal
import sys
from contextlib import suppress
from typing import NamedTuple

SOFTWARE = 70  # exit code, as in sysexits.h
STACKS = getattr(signal, "SIGRTMIN", 0) + 5  # faulthandler writes the stacks of all threads at this signal; it needs no lock either
_THREAD = 2  # SIGEV_THREAD
_NAMES = ("mq_open", "mq_unlink", "mq_notify", "mq_send", "_exit")


class _Attributes(ctypes.Structure):
    """struct mq_attr."""

    _fields_ = (
        ("flags", ctypes.c_long),
        ("most", ctypes.c_long),
        ("size", ctypes.c_long),
        ("current", ctypes.c_long),
        ("reserved", ctypes.c_long * 4),
    )


class _Event(ctypes.Structure):
    """struct sigevent."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("kind", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("rest", ctypes.c_char * 32),
    )


class Handles(NamedTuple):
    """What the process beside a worker has of it: descriptors, each None where there is no such thing."""

    end: int | None = None
    told: int | None = None

    def signals(self) -> bytes:
        """The numbers of those that have reached the worker since this was asked."""
        if self.told is None:
            return b""
        try:
            return os.read(self.told, 4096)
        except BlockingIOError:
            return b""


NONE = Handles()


def handles() -> Handles:
    """Of this process."""
    return Handles(prepare(), listen())


def listen() -> int | None:
    """A descriptor that gives the number of each signal which reaches this process, by its C handler, whatever Python does.

    None where signals cannot be heard so: outside the main thread, where somebody else hears them (asyncio), and on Windows.
    """
    if os.name != "posix":
        return None
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(writes, False)
    with suppress(ValueError):
        before = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        if before == -1:
            os.register_at_fork(after_in_child=_be_deaf)
            return reads
        signal.set_wakeup_fd(before)
    os.close(reads)
    os.close(writes)
    return None


def _be_deaf() -> None:
    """In a forked child: what it is told (one that is recycled sends itself SIGTERM) was not told to this process."""
    with suppress(ValueError):
        signal.set_wakeup_fd(-1)


def prepare() -> int | None:
    """A descriptor by which this process can be ended: whoever has it may call `end`. It goes with the process, and with no fork of it.

    None where the system has no such queues or allows none (Windows, macOS, some containers).
    """
    library = _library()
    if library is None:
        return None
    name = f"/jobs-{os.getpid()}-{os.urandom(8).hex()}".encode()
    queue = int(library.mq_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, ctypes.byref(_Attributes(most=1, size=1))))
    if queue < 0:
        return None
    library.mq_unlink(name)  # the descriptor keeps it
    call = ctypes.cast(library._exit, ctypes.c_void_p).value
    try:
        if library.mq_notify(queue, ctypes.byref(_Event(value=SOFTWARE, kind=_THREAD, function=call))) != 0:
            raise OSError
        faulthandler.register(STACKS, file=2)
    except (OSError, RuntimeError, ValueError):
        os.close(queue)
        return None
    return queue


def stacks(pid: int) -> None:
    """Make a process that has prepared its end write the stacks of all its threads to its stderr."""
    with suppress(ProcessLookupError):
        os.kill(pid, STACKS)


def end(descriptor: int) -> bool:
    """End the process that has made this descriptor. False when that could not be asked for."""
    library = _library()
    return library is not None and library.mq_send(descriptor, b"", 0, 0) == 0


def _library() -> ctypes.CDLL | None:
    if os.name != "posix" or not hasattr(signal, "SIGRTMIN") or sys.byteorder != "little":  # a number passed in the place of a pointer
        return None
    try:
        library = ctypes.CDLL(None)
    except OSError:
        return None
    return library if all(hasattr(library, name) for name in _NAMES) else None
