"""Each fault of the plan, done to living processes and servers."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg2

from tests.chaos.plan import Fault
from tests.chaos.processes import Crew, Kept
from tests.chaos.servers import Postgres, Redis

POISON = "INSERT INTO jobs_job (name, task, args, kwargs, max_retries) VALUES ('poison', 'chaos.body', '[]', %s, 0)"
POISONED = 9_000_000_000  # numbers of poison jobs begin here


@dataclass(kw_only=True)
class Strike:
    """A fault as it happened. Times are Unix times; `pids`: the processes it hit, empty when it hit a server."""

    kind: str
    at: float
    until: float = 0.0
    pids: list[int] = field(default_factory=list)
    detail: str = ""


class Striker:
    """Carries out the plan, each fault in a thread of its own."""

    def __init__(self, crew: Crew, redis: Redis, postgres: Postgres | None) -> None:
        self.crew, self.redis, self.postgres = crew, redis, postgres
        self.strikes: list[Strike] = []
        self.poisons: list[int] = []
        self.errors: list[str] = []
        self.threads: list[threading.Thread] = []

    def strike(self, fault: Fault) -> None:
        """Begin a fault; it ends by itself."""
        thread = threading.Thread(target=self._strike, args=(fault,), name=fault.kind, daemon=True)
        self.threads.append(thread)
        thread.start()

    def finish(self) -> None:
        """Wait until all that was begun is over."""
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                self.errors.append(f"{thread.name} does not end")

    def _strike(self, fault: Fault) -> None:
        strike = Strike(kind=fault.kind, at=time.time())
        act: Callable[[Fault, Strike], None] = getattr(self, "_" + fault.kind.replace("-", "_"))
        try:
            act(fault, strike)
        except (psycopg2.Error, OSError) as error:  # its server is away through another fault: this one did not happen
            strike.detail = f"not done: {str(error).strip().splitlines()[0]}"
        except Exception as error:  # a fault of the runner itself must show in the verdict
            self.errors.append(f"{fault.kind}: {error!r}")
            return
        strike.until = strike.until or time.time()
        self.strikes.append(strike)

    def _worker(self, draw: float) -> Kept | None:
        able = [worker for worker in self.crew.workers if worker.alive and worker.stopped_since is None]
        return able[int(draw * len(able))] if able else None

    def _end_worker(self, fault: Fault, strike: Strike, number: int, *, group: bool = False) -> None:
        if (worker := self._worker(fault.draw)) is None:
            strike.detail = "not done: no worker is alive"
            return
        strike.at = time.time()
        strike.pids.append(worker.signal(number, fault.kind, group=group))

    def _worker_kill(self, fault: Fault, strike: Strike) -> None:
        self._end_worker(fault, strike, signal.SIGKILL)

    def _group_kill(self, fault: Fault, strike: Strike) -> None:
        self._end_worker(fault, strike, signal.SIGKILL, group=True)

    def _worker_term(self, fault: Fault, strike: Strike) -> None:
        self._end_worker(fault, strike, signal.SIGTERM)

    def _worker_stop(self, fault: Fault, strike: Strike) -> None:
        if (worker := self._worker(fault.draw)) is None:
            strike.detail = "not done: no worker is alive"
            return
        worker.stopped_since = time.time()
        strike.pids.append(worker.signal(signal.SIGSTOP, fault.kind))
        time.sleep(fault.seconds)
        worker.stopped_since = None
        strike.until = time.time()
        worker.signal(signal.SIGCONT, fault.kind)

    def _producer_kill(self, fault: Fault, strike: Strike) -> None:
        assert self.crew.producer is not None
        strike.pids.append(self.crew.producer.signal(signal.SIGKILL, fault.kind))

    def _poison(self, fault: Fault, strike: Strike) -> None:
        k = POISONED + len(self.poisons)
        if self._skipped(strike) or self.postgres is None:
            return
        with self.postgres.cursor() as cursor:
            cursor.execute(POISON, [json.dumps({"k": k, "kind": "poison", "spec": {}})])
        self.poisons.append(k)

    def _skipped(self, strike: Strike) -> bool:
        """Whether the system under test has nothing of the kind."""
        if self.postgres is None:
            strike.detail = "not done: no PostgreSQL here"
        return self.postgres is None

    def _leader(self, strike: Strike) -> int | None:
        found = None if self._skipped(strike) or self.postgres is None else self.postgres.leader()
        if found is None:
            strike.detail = strike.detail or "not done: there is no leader now"
            return None
        strike.at = time.time()
        strike.pids.append(found[1])
        return found[1]

    def _leader_kill(self, fault: Fault, strike: Strike) -> None:
        if pid := self._leader(strike):
            os.kill(pid, signal.SIGKILL)

    def _leader_stop(self, fault: Fault, strike: Strike) -> None:
        if pid := self._leader(strike):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(fault.seconds)
            strike.until = time.time()
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass  # its worker was ended meanwhile

    def _cut(self, fault: Fault, strike: Strike, pattern: str) -> None:
        if not self._skipped(strike) and self.postgres is not None:
            strike.detail = self.postgres.terminate(pattern, fault.draw) or "not done: no such connection"

    def _leader_cut(self, fault: Fault, strike: Strike) -> None:
        if self._leader(strike) and self.postgres is not None:
            strike.detail = self.postgres.terminate(f"jobs leader {strike.pids[0]}", 0)

    def _lock_cut(self, fault: Fault, strike: Strike) -> None:
        self._cut(fault, strike, "jobs-worker-life %")

    def _commit_cut(self, fault: Fault, strike: Strike) -> None:
        self._cut(fault, strike, "jobs-commit %")

    def _row_lock(self, fault: Fault, strike: Strike) -> None:
        if self._skipped(strike) or self.postgres is None:
            return
        with self.postgres.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                """SELECT id FROM jobs_job WHERE status IN ('running', 'pending') AND run_at < clock_timestamp() + interval '1 s'
                    ORDER BY id LIMIT 20 FOR UPDATE SKIP LOCKED"""
            )
            strike.detail = f"{cursor.rowcount} rows"
            time.sleep(fault.seconds)
            strike.until = time.time()

    def _redis_flush(self, fault: Fault, strike: Strike) -> None:
        with self.redis.lock, self.redis.client() as client:
            strike.at = time.time()
            client.flushall()

    def _redis_kill(self, fault: Fault, strike: Strike) -> None:
        with self.redis.lock:
            strike.at = time.time()
            self.redis.kill()
            time.sleep(fault.seconds)
            self.redis.start()
            strike.until = time.time()

    def _redis_stop(self, fault: Fault, strike: Strike) -> None:
        with self.redis.lock:
            pid = self.redis.pid()
            strike.at = time.time()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(fault.seconds)
            strike.until = time.time()
            os.kill(pid, signal.SIGCONT)

    def _redis_duplicate(self, fault: Fault, strike: Strike) -> None:
        if self._skipped(strike):
            return
        with self.redis.lock:
            strike.detail = f"{self.redis.duplicate(2.0)} messages"

    def _redis_full(self, fault: Fault, strike: Strike) -> None:
        with self.redis.lock, self.redis.client() as client:
            client.config_set("maxmemory", 1)
            time.sleep(fault.seconds)
            client.config_set("maxmemory", 0)
            strike.until = time.time()

    def _pg_readonly(self, fault: Fault, strike: Strike) -> None:
        if self._skipped(strike) or self.postgres is None:
            return
        with self.postgres.lock:
            self.postgres.refuse_writes(True)
            time.sleep(fault.seconds)
            self.postgres.refuse_writes(False)
            strike.until = time.time()

    def _pg_restart(self, fault: Fault, strike: Strike, mode: str) -> None:
        if self._skipped(strike) or self.postgres is None:
            return
        with self.postgres.lock:
            strike.at = time.time()
            self.postgres.halt(mode)
            time.sleep(fault.seconds)
            self.postgres.start()
            self.postgres.wait()
            strike.until = time.time()

    def _pg_fast(self, fault: Fault, strike: Strike) -> None:
        self._pg_restart(fault, strike, "fast")

    def _pg_immediate(self, fault: Fault, strike: Strike) -> None:
        self._pg_restart(fault, strike, "immediate")

    def _pg_backend_kill(self, fault: Fault, strike: Strike) -> None:
        if self._skipped(strike) or self.postgres is None:
            return
        with self.postgres.lock:
            strike.at = time.time()
            self.postgres.kill_backend(fault.draw)
            time.sleep(0.05)
            self.postgres.wait()
            strike.until = time.time()
