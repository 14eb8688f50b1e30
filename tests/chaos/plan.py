"""What happens in a run, decided by its seed alone: which jobs are made and which faults strike when."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

# seconds that each fault lasts, from and to; 0: over at once
FAULTS: Final[dict[str, tuple[float, float]]] = {
    "worker-kill": (0, 0),  # kill -9 of the worker; its leader child ends with it
    "group-kill": (0, 0),  # kill -9 of the worker and its leader child together
    "worker-stop": (3, 8),  # SIGSTOP, then SIGCONT
    "worker-term": (0, 0),  # SIGTERM, started again when it has ended
    "poison": (0, 0),  # a job that ends its worker by os._exit each time
    "leader-kill": (0, 0),
    "leader-stop": (4, 8),
    "leader-cut": (0, 0),  # the leader's database connection
    "lock-cut": (0, 0),  # a worker's lock connection
    "commit-cut": (0, 0),  # a worker's connection for claims and completions
    "row-lock": (1, 3),  # a stray transaction locks rows that run or wait
    "redis-flush": (0, 0),
    "redis-kill": (0, 3),  # kill -9, started again empty
    "redis-stop": (2, 8),  # SIGSTOP, then SIGCONT
    "redis-duplicate": (0, 0),  # every message in Redis once more
    "pg-fast": (0, 1),  # restart
    "pg-immediate": (0, 1),
    "pg-backend-kill": (0, 0),  # kill -9 of one backend: the server recovers
    "pg-readonly": (1, 4),  # every write is refused, as by a server whose failover is not over
    "redis-full": (1, 4),  # maxmemory is reached: every push is refused
    "producer-kill": (0, 0),
}
GAP: Final = (1.5, 4.5)  # seconds between two faults
TOGETHER: Final = 0.2  # share of faults that strike while the one before still lasts or has just ended
# of a thousand jobs; the others are short and succeed
ODD: Final = {"slow": 5, "flaky": 25, "doomed": 8, "permanent": 4, "hang": 1, "drop": 5, "stop": 1, "heal": 4, "later": 30, "rollback": 5}
CALM: Final = 10.0  # seconds at the end in which jobs are made and nothing is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`at`: seconds after the start; `draw` (0 to 1) picks the victim among those alive then."""

    at: float
    kind: str
    seconds: float
    draw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job to be made. `way`: many, enqueue, delay or rollback; `delay`: seconds until it is due."""

    k: int
    kind: str
    way: str
    priority: int
    delay: float = 0.0
    retries: int = 3
    limit: int | None = 3600
    spec: dict[str, Any] = field(default_factory=dict)


def schedule(seed: int, seconds: float, only: tuple[str, ...] = ()) -> list[Fault]:
    """The faults of a run. Every kind once, in the order drawn, then again, until the calm at the end."""
    rng = random.Random(f"faults {seed}")
    kinds = [kind for kind in FAULTS if not only or kind in only]
    faults: list[Fault] = []
    deck: list[str] = []
    at = rng.uniform(*GAP)
    while True:
        deck = deck or rng.sample(kinds, len(kinds))
        kind = deck.pop()
        lasts = rng.uniform(*FAULTS[kind])
        if at + lasts > seconds - CALM:
            return faults
        faults.append(Fault(at=round(at, 3), kind=kind, seconds=round(lasts, 3), draw=rng.random()))
        at += rng.uniform(0, lasts + 0.5) if rng.random() < TOGETHER else lasts + rng.uniform(*GAP)


def jobs(seed: int, incarnation: int) -> Iterator[Planned]:
    """An endless stream; each incarnation of the producer has numbers of its own."""
    rng = random.Random(f"jobs {seed} {incarnation}")
    k = incarnation * 10_000_000
    while True:
        k += 1
        yield _job(rng, k)


def _job(rng: random.Random, k: int) -> Planned:
    priority, draw = rng.randint(0, 9), rng.random() * 1000
    way = "enqueue" if rng.random() < 0.5 else "delay"
    common: dict[str, Any] = {"k": k, "priority": priority}
    for name, weight in ODD.items():
        draw -= weight
        if draw < 0:
            return _odd(rng, name, way, common)
    return Planned(**common, kind="ok", way="many" if rng.random() < 0.75 else way, spec={"seconds": round(rng.uniform(0, 0.01), 4)})


def _odd(rng: random.Random, kind: str, way: str, common: dict[str, Any]) -> Planned:
    match kind:
        case "slow":
            return Planned(**common, kind=kind, way=way, spec={"seconds": round(rng.uniform(0.3, 2.0), 3)})
        case "flaky":
            return Planned(**common, kind=kind, way=way, spec={"fails": rng.randint(1, 2)})
        case "doomed":
            return Planned(**common, kind=kind, way="enqueue", retries=1)
        case "permanent":
            return Planned(**common, kind=kind, way="enqueue")
        case "hang":
            return Planned(**common, kind=kind, way="enqueue", retries=0, limit=2, spec={"seconds": 60})
        case "drop":  # cancelled while it waits
            return Planned(**common, kind=kind, way="enqueue", delay=round(rng.uniform(3, 8), 3))
        case "stop":  # cancelled while it runs
            return Planned(**common, kind=kind, way="enqueue", spec={"seconds": 15})
        case "heal":  # buried, then reprocessed
            return Planned(**common, kind=kind, way="enqueue", retries=0)
        case "later":
            return Planned(**common, kind="ok", way=way, delay=round(rng.uniform(0.5, 10), 3))
        case _:
            return Planned(**common, kind="ok", way="rollback")
