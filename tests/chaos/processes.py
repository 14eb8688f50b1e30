"""The processes of a run: the ledger, the workers (started again when they end) and the producer."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
AGAIN = 0.3  # seconds before a process that ended is started again


@dataclass(kw_only=True)
class Death:
    """The end of a worker process. `cause`: the fault that did it, "" when it ended by itself."""

    pid: int
    at: float
    code: int
    cause: str


class Ledger:
    """The ledger's process; nothing in a run ever touches it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.address = folder / "ledger.sqlite", str(folder / "ledger.sock")
        self.process = subprocess.Popen([sys.executable, "-m", "tests.chaos.ledger", str(self.path), self.address], cwd=ROOT)
        until(lambda: os.path.exists(self.address), timeout=20, what="the ledger's socket")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


class Kept:
    """A process in a group of its own that is started again when it ends, until told to stop."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path, *, grace: float, pipe: bool = False) -> None:
        self.name, self.command, self.environment, self.log = name, command, environment, log
        self.grace, self.pipe = grace, pipe
        self.lock = threading.Lock()
        self.deaths: list[Death] = []
        self.cause = ""  # noted by who is about to end it
        self.incarnation = 0
        self.stopped_since: float | None = None  # SIGSTOP
        self.retired = False
        self.started = 0.0
        self._start()

    def _start(self) -> None:
        self.incarnation += 1
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [part.replace("{incarnation}", str(self.incarnation)) for part in self.command], cwd=ROOT, env=self.environment,
                stdin=subprocess.PIPE if self.pipe else subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started = time.time()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int, cause: str, *, group: bool = False) -> int:
        """Send a signal to it as it is now; its process number."""
        with self.lock:
            if number not in (signal.SIGSTOP, signal.SIGCONT):
                self.cause = cause
            pid = self.pid
            try:
                os.killpg(pid, number) if group else os.kill(pid, number)
            except ProcessLookupError:
                pass
        return pid

    def tend(self) -> None:
        """Start it again when it has ended. To be called often."""
        with self.lock:
            if self.retired or self.process.poll() is None:
                return
            at = time.time()
            self._kill_group()  # what it left behind
            self.deaths.append(Death(pid=self.pid, at=at, code=self.process.returncode, cause=self.cause))
            self.cause = ""
            time.sleep(AGAIN)
            self._start()

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def retire(self) -> int | None:
        """Ask it to end; kill it when it does not. Its exit code, None when it had to be killed."""
        with self.lock:
            self.retired = True
            if self.process.stdin is not None:
                self.process.stdin.close()
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)
                if not self.pipe:
                    self.process.send_signal(signal.SIGTERM)
            try:
                return self.process.wait(self.grace)
            except subprocess.TimeoutExpired:
                return None
            finally:
                self._kill_group()
                self.process.wait(10)

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@dataclass(kw_only=True)
class Crew:
    """Everything that runs beside the servers."""

    workers: list[Kept] = field(default_factory=list)
    producer: Kept | None = None

    @property
    def all(self) -> list[Kept]:
        return [*self.workers, *([self.producer] if self.producer else [])]

    def tend(self) -> None:
        for kept in self.all:
            kept.tend()

    def deaths(self) -> dict[int, Death]:
        """Of workers, by process number."""
        return {death.pid: death for worker in self.workers for death in worker.deaths}
