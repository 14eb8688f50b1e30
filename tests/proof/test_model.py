"""Every interleaving of claim, rescue and complete, with a fault or two; and that the search is not blind."""

import os

import pytest

from tests.proof.model import Faults, Rules, Violation, explore

SHORT = [
    Faults(kills=1),
    Faults(cuts=1),
    Faults(flushes=2),
    Faults(depositions=1, flushes=1),
    Faults(replies=1, kills=1),
    Faults(kills=1, depositions=1),
    Faults(replies=1, depositions=1),
]
LONG = [Faults(cuts=1, depositions=1), Faults(kills=1, depositions=1, flushes=1), Faults(kills=1, depositions=1, replies=1)]


@pytest.mark.parametrize("handed", [False, True], ids=["inserted", "handed over"])
@pytest.mark.parametrize("faults", SHORT + (LONG if os.environ.get("PROOF") == "full" else []), ids=str)
def test_whatever_the_order_the_job_ends_and_no_stale_run_writes(faults: Faults, *, handed: bool) -> None:
    found = explore(faults, handed=handed)
    assert "completed" in found.ends
    assert found.states > (10 if handed else 300), "there was something to interleave"


@pytest.mark.parametrize(
    ("rules", "faults", "finding"),
    [
        (Rules(fence=False), Faults(cuts=1), "stale run overwrites|takes a newer run away"),
        (Rules(guard=False), Faults(depositions=1), "its run was taken away|two workers are in the same run"),
        (Rules(lock=False), Faults(), "never lost its lock"),
        (Rules(resync=False), Faults(flushes=1), "never ends"),
        (Rules(watch=False), Faults(replies=1), "never ends"),
    ],
    ids=["no fence", "any claim wins", "locks not looked at", "no resync", "no watch"],
)
def test_without_a_rule_a_wrong_state_is_found(rules: Rules, faults: Faults, finding: str) -> None:
    with pytest.raises(Violation, match=finding):
        explore(faults, rules)
    assert explore(faults).states, "with the rule there is none"


def test_a_watch_that_knows_nothing_of_a_job_on_its_way_takes_it_away() -> None:
    with pytest.raises(Violation, match="its run was taken away"):
        explore(Faults(), Rules(linking=False), handed=True)
    assert explore(Faults(), handed=True).states
