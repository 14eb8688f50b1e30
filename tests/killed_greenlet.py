"""A worker's engine without Celery, in a process of its own: claims (and completes) a job in a greenlet that is killed meanwhile."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import django  # noqa: E402
import gevent  # noqa: E402


def main(what: str, id: int) -> None:
    django.setup()
    from jobs.store.transitions import Run
    from jobs.worker import green_waits
    from jobs.worker.group_commit import GroupCommit
    from jobs.worker.registration import Registration
    from jobs.worker.watch import Watch
    from tests.rows import task_id_of

    green_waits.patch()
    described = {"name": "alone@here", "hostname": "here", "pid": 1, "pool": "gevent", "concurrency": 4}
    engine = GroupCommit(Registration(described | {"queues": [], "tasks": [], "versions": {}}), 4)
    Watch(engine).start()
    run, name = Run(id=id, runs=1), task_id_of(id)
    if what == "complete":
        assert engine.claim(run, name, "celery", 5)
        victim = gevent.spawn(engine.complete, run, "7")
        print("ready", flush=True)
        sys.stdin.readline()
    else:
        print("ready", flush=True)
        sys.stdin.readline()
        victim = gevent.spawn(engine.claim, run, name, "celery", 5)
    gevent.sleep(0.03)
    victim.kill()
    print("killed", flush=True)
    gevent.sleep(60)  # not another read: it would stop all greenlets


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
