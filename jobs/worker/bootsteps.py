"""What a worker starts and stops besides Celery's own parts; the leader beside it is `jobs.worker.leader_child`."""

import logging
import os
import platform
import socket
import sys
import time
from contextlib import closing
from functools import partial
from typing import Any, Final

import celery
import celery.apps.worker
import django
import psycopg2
from celery import bootsteps
from celery.exceptions import WorkerTerminate
from celery.platforms import EX_OK
from celery.worker import state
from django.db import connections
from django.utils.translation import gettext as _
from kombu.utils.imports import symbol_by_name

import jobs
from jobs.celery_app import aftermath, limits, process_engine, running, settle  # noqa: F401 - a run's code is loaded ahead of any fork
from jobs.conf import configuration
from jobs.domain.errors import JobInterrupted
from jobs.store import broker, loops, pooler, transitions
from jobs.store.engine import connect
from jobs.store.pooler import PoolerBetween
from jobs.store.schema import wait_until_migrated
from jobs.worker import children, fetching_elsewhere, forks, heap, inspection, spawned, stacks, stopping  # noqa: F401 - answers `celery inspect scheduled`
from jobs.worker.process import Parent, child_engine
from jobs.worker.refused import Refused
from jobs.worker.registration import Registration
from jobs.worker.watch import Watch
from jobs.worker.watchdog import Watchdog

logger = logging.getLogger("jobs.worker")
TELL_S = 1.0  # after the grace, for an errback that a worker has called
POOLS: Final = {f"celery.concurrency.{name}": name for name in ("gevent", "prefork", "thread", "solo")}


def _pool(worker: Any) -> str | None:
    """Which of Celery's pools this is; None for any other, and for one derived from them: they may run tasks in their own way."""
    return POOLS.get(worker.pool_cls.__module__)


def _verifies(consumer: Any) -> bool:
    """Whether this class, or the one of this name, is the consumer that checks who has sent a message."""
    from jobs.worker.consumer import Consumer

    return issubclass(symbol_by_name(consumer), Consumer)


def _slots(worker: Any) -> int:
    """How many jobs run at once."""
    return 1 if _pool(worker) == "solo" else int(worker.concurrency)


def _is_own_process(worker: Any) -> bool:
    """Whether this process is a worker and nothing else, not another program with one inside."""
    return isinstance(worker, celery.apps.worker.Worker)


def _describe(worker: Any) -> dict[str, Any]:
    return {
        "name": worker.hostname,
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "pool": _pool(worker),
        "concurrency": _slots(worker),
        "queues": sorted(worker.app.amqp.queues.consume_from),
        "tasks": sorted(name for name in worker.app.tasks if not name.startswith("celery.")),
        "versions": {
            "jobs": jobs.__version__,
            "celery": celery.__version__,
            "django": django.get_version(),
            "python": platform.python_version(),
        },
    }


def _eventer(worker: Any) -> Any:
    """What sends the worker's events, None while it has no connection to Redis."""
    return getattr(worker.consumer, "event_dispatcher", None)


def _rebind_sleep() -> None:
    """Celery imports some of kombu before gevent patches `time`: that sleep, while Redis is away, would stop every greenlet."""
    from gevent.monkey import get_original

    original = get_original("time", "sleep")
    for name, module in list(sys.modules.items()):
        if name.startswith(("kombu.", "celery.")) and vars(module).get("sleep") is original:
            module.sleep = time.sleep  # type: ignore[attr-defined]


class Engine(bootsteps.StartStopStep):
    """The engine's connections, the exact admission under gevent, and the watch over this worker's rows."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        self.told = 0.0  # time.monotonic() when the worker was told to stop
        self.watchdog: Watchdog | None = None
        worker.admission = worker.engine = None
        if getattr(worker, "autoscale", None):
            raise SystemExit(_("--autoscale is refused: it would make the number of slots inexact. Use --concurrency, or several workers."))
        if _pool(worker) is None:
            raise SystemExit(
                _("The pool %(pool)s is refused: the ends of its jobs would not be seen. Use -P gevent, prefork, threads or solo.")
                % {"pool": f"{worker.pool_cls.__module__}:{worker.pool_cls.__qualname__}"}
            )
        if not _verifies(worker.consumer_cls):
            raise SystemExit(
                _("The consumer %(consumer)s is refused: it would run forged messages. Derive it from jobs.worker.consumer:Consumer.")
                % {"consumer": worker.consumer_cls}
            )
        if any(map(broker.names_several, (worker.app.conf.broker_read_url, worker.app.conf.broker_write_url))):
            raise SystemExit(
                _("The broker URL names more than one Redis, or a Sentinel; the leader and all workers must use the same Redis.")
            )
        super().__init__(worker, **kwargs)

    def create(self, worker: Any) -> None:
        """Before the consumer is made, so that it finds the admission."""
        self.parent = Parent()
        process_engine.attach(partial(child_engine, self.parent))
        if _pool(worker) == "prefork":
            spawned.provide(worker, self.parent)
        stacks.quicken(worker.app)
        if _pool(worker) == "gevent":
            from jobs.worker import green_waits
            from jobs.worker.admission import Admission
            from jobs.worker.task_connections import keep_connections

            green_waits.patch()
            _rebind_sleep()
            loops.tell_apart()
            keep_connections(worker.app, 2 * worker.concurrency)  # a slot is free before its task has closed its connection
            worker.admission = Admission(worker.concurrency)
        else:
            slots, ahead = _slots(worker), fetching_elsewhere.multiplier(worker)
            logger.log(
                logging.WARNING if ahead > 1 else logging.INFO,
                "pool %s: exactly %s at a time; %s -P gevent is strict", worker.pool_cls.__module__, slots,
                f"up to {slots * (ahead - 1)} more are fetched and keep their place before a higher priority (worker_prefetch_multiplier)."
                if ahead > 1 else "jobs that are fetched at the same moment may begin in either order.",
            )  # fmt: skip
        if _is_own_process(worker):
            heap.freeze()  # the pool has not forked yet

    def start(self, worker: Any) -> None:
        """Register, then take the pool's count of slots into our own hands."""
        green = worker.admission is not None
        registration = self._register(_describe(worker))
        self.parent.is_registered(registration.id)
        if green:
            from jobs.worker.group_commit import GroupCommit
            from jobs.worker.hand_over import HandOver

            worker.engine = GroupCommit(registration, worker.concurrency)
            worker.hand_over = HandOver(worker)
            self._admit(worker)
        else:
            from jobs.worker.plain_engine import PlainEngine

            worker.engine = PlainEngine(registration)
            worker.engine.eventer = partial(_eventer, worker)
        process_engine.use(worker.engine)
        forks.stay_apart()
        limits.of_worker(worker.time_limit, worker.soft_time_limit)
        self._steer(worker)
        self.watch = Watch(worker.engine, partial(aftermath.run, worker.app, worker.engine, eventer=partial(_eventer, worker)))
        self.watch.start()
        if _is_own_process(worker):
            self.watchdog = Watchdog(worker.engine)
            self.watchdog.start()

    def _register(self, description: dict[str, Any]) -> Registration:
        """Wait for PostgreSQL and its tables; a signal ends the wait. Refuses a pooler, behind which no lock is held."""

        refused = Refused(logger, "the worker cannot register yet", logging.ERROR)

        def pause() -> bool:
            state.maybe_shutdown()
            time.sleep(1)
            return False

        while True:
            wait_until_migrated(logger.error, pause)
            try:
                with closing(connect("jobs-worker-start")) as connection:
                    pooler.refuse(connection)
                return Registration(description)
            except PoolerBetween as error:
                raise SystemExit(str(error)) from error
            except psycopg2.Error as error:  # it went away in this very moment, or takes no writes
                refused.say(error)
                pause()

    def _admit(self, worker: Any) -> None:
        from jobs.worker.greenlets import Greenlets

        Greenlets(worker.admission).serve(worker.pool)
        worker.wait_for_soft_shutdown = lambda: None  # it would sleep in a signal's handler, where no greenlet may
        worker.engine.on_completing = worker.admission.leave_current
        worker.engine.on_parked = worker.admission.enter
        worker.engine.may_hand_on, worker.engine.on_handed = worker.hand_over.queues, worker.hand_over.take

    def _steer(self, worker: Any) -> None:
        """`celery control pool_grow` and `pool_shrink`: the row tells what the pool has then, and the admission keeps to it."""
        pool = worker.pool
        change = {1: getattr(pool, "grow", None), -1: getattr(pool, "shrink", None)}

        def resize(n: int, sign: int) -> None:
            size = worker.concurrency + sign * n
            if n < 1:
                raise ValueError("the number of slots to add or to remove is 1 or more")
            if size < 1:
                raise ValueError("a worker has at least one slot")
            try:
                if worker.admission is not None:
                    worker.admission.size = worker.engine.slots = pool.limit = size
                    worker.admission.changed.set()
                else:
                    change[sign](n)  # type: ignore[misc]
            finally:  # prefork removes what is idle, and then refuses the rest
                worker.concurrency = pool.limit = pool.num_processes
                worker.engine.registration.change(worker.engine.write, concurrency=worker.concurrency)

        if all(change.values()):
            pool.grow, pool.shrink = lambda n=1: resize(n, 1), lambda n=1: resize(n, -1)

    def close(self, worker: Any) -> None:
        """Nothing more is admitted."""
        heard = self.watchdog.stopping if self.watchdog else None  # Celery's loop may have waited for Redis since
        self.told = self.told or heard or time.monotonic()
        if worker.admission is not None:
            worker.admission.closed = True

    def stop(self, worker: Any) -> None:
        """Running jobs get JOBS_SHUTDOWN_GRACE seconds, none after SIGQUIT; the rest is released without spending the attempt."""
        self.close(worker)
        if worker.engine is None:
            return
        end = self.told + configuration().shutdown_grace
        while (worker.engine.held or self._children(worker)) and time.monotonic() < end and not stopping.is_cold():
            if worker.admission is not None:
                worker.admission.pause(0.1)
            else:
                time.sleep(0.1)
        for outcome in [held for held in list(worker.engine.held.values()) if held is not None]:  # threads change it meanwhile
            settle.release(outcome)
            outcome.body.throw(JobInterrupted)
        for run in worker.engine.unbegun:  # without a grace their tasks have not asked for them yet
            worker.engine.give_back(run)
        for run in self._children(worker):
            worker.engine.write(lambda cursor, run=run: transitions.release(cursor, run, failure=settle.INTERRUPTED))
        if _pool(worker) == "prefork":
            children.end(worker.pool, 0.0 if stopping.is_cold() else end)
        self.watch.stop(TELL_S if stopping.is_cold() else max(end - time.monotonic(), 0.0) + TELL_S)
        worker.engine.registration.leave()
        worker.engine.close()
        connections.close_all()  # of this thread, in which a solo pool runs its tasks: a test's worker ends without its process
        ended = sys.exc_info()[1]
        if stopping.is_cold():
            worker.exitcode = state.should_terminate
        elif isinstance(ended, WorkerTerminate):  # it gave up; Celery forgets the code of one that was not told to
            worker.exitcode = ended.code
        elif stopping.is_told() and not isinstance(ended, Exception):  # Celery calls SIGINT a failure
            worker.exitcode = EX_OK

    def _children(self, worker: Any) -> list[transitions.Run]:
        """What the children of a prefork worker run."""
        if _pool(worker) != "prefork":
            return []

        def read(cursor: Any) -> list[transitions.Run]:
            cursor.execute(
                """SELECT id, runs, worker FROM jobs_job
                    WHERE status = 'running' AND worker IN (SELECT id FROM jobs_worker WHERE parent = %s)""",
                [worker.engine.worker_id],
            )
            return [transitions.Run(id=id, runs=runs, worker=worker) for id, runs, worker in cursor.fetchall()]

        return list(worker.engine.write(read))

    terminate = stop
