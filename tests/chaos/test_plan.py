"""The plan follows from the seed alone."""

import itertools
from collections import Counter

from tests.chaos import plan


def test_the_same_seed_makes_the_same_faults_and_jobs() -> None:
    assert plan.schedule(7, 120) == plan.schedule(7, 120) != plan.schedule(8, 120)
    first = list(itertools.islice(plan.jobs(7, 2), 2000))
    assert first == list(itertools.islice(plan.jobs(7, 2), 2000))
    assert first != list(itertools.islice(plan.jobs(8, 2), 2000))
    assert not {job.k for job in first} & {job.k for job in itertools.islice(plan.jobs(7, 3), 2000)}


def test_every_kind_of_fault_and_of_job_comes_up() -> None:
    for seed in range(20):
        faults = plan.schedule(seed, 600)
        assert set(Counter(fault.kind for fault in faults)) == set(plan.FAULTS)
        assert all(fault.at + fault.seconds <= 600 - plan.CALM for fault in faults)
    kinds = Counter(job.kind for job in itertools.islice(plan.jobs(1, 1), 20_000))
    assert set(kinds) == {"ok", "slow", "flaky", "doomed", "permanent", "hang", "drop", "stop", "heal"}


def test_chosen_faults_alone() -> None:
    assert {fault.kind for fault in plan.schedule(1, 120, ("redis-flush", "worker-kill"))} == {"redis-flush", "worker-kill"}
