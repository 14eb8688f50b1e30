"""Settings of the broker's connection that people have: the workers, the leader and kombu mean the same Redis, lists and messages."""

import subprocess
import sys
from pathlib import Path

import pytest
from celery import current_app

from jobs import enqueue_many
from tests.integration.test_engine import ended
from tests.workers import ROOT, environment, running_worker, settings_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tasks() -> None:
    import tests.taskapp.tasks  # noqa: F401 - registers the tasks in this process


def test_what_the_lanes_need_of_kombu_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"sep": ":", "priority_steps": [0, 3], "queue_order_strategy": "sorted", "global_keyprefix": "mine", "client_name": "shop"}
    with current_app.connection_for_write(transport_options=own) as connection:
        channel = connection.default_channel
        assert channel._q_for_pri("celery", 4) == "celery\x06\x164"
        assert (list(channel.priority_steps), channel.global_keyprefix, channel.client_name) == (list(range(10)), "jobs:", "shop")


@pytest.mark.parametrize("pool", ["prefork", *(pytest.param(pool, marks=pytest.mark.slow) for pool in ("gevent", "threads", "solo"))])
def test_the_recipe_for_priorities_of_celery_s_documentation(tmp_path: Path, pool: str) -> None:
    """Workers but gevent's looked into lists of other names: no job ran."""
    recipe = {"priority_steps": list(range(10)), "sep": ":", "queue_order_strategy": "priority", "fanout_prefix": False}
    with running_worker(tmp_path / "log", pool=pool, slots=2, **settings_of(CELERY_BROKER_TRANSPORT_OPTIONS=recipe)):
        assert [job.result for job in ended(*enqueue_many("t.add", [((n, n), {}) for n in range(4)]))] == [0, 2, 4, 6]


@pytest.mark.parametrize(
    "address", ["sentinel://localhost:26379", pytest.param("redis://localhost:1/3;redis://localhost:2/3", marks=pytest.mark.slow)]
)
def test_a_worker_of_several_redis_does_not_start(address: str) -> None:
    """It crashed at its first pop, or looked for jobs where nobody put them."""
    worker = ["-m", "celery", "-A", "task_queue_project", "worker", "-P", "gevent", "-c", "1"]
    environ = environment(**settings_of(CELERY_BROKER_URL=address))
    for command, said in ((worker, "Sentinel"), (["manage.py", "dispatch"], "CELERY_BROKER_URL")):
        done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert said in done.stderr.strip().splitlines()[-1]
