"""One job, two workers, two leaders and a few faults: every interleaving of their steps, breadth first.

Each step is what the code does between two answers of a server. A message may be late, a leader may push what it picked before it
lost its office, a worker may work on without its lock until it notices. Each of `Rules` can be switched off, to see that the
search finds what follows.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

PENDING, RUNNING, COMPLETED, FAILED = "pending", "running", "completed", "failed"
MAX_LOST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the engine keeps to."""

    fence: bool = True  # the end of a run is written only while `runs` is its own
    guard: bool = True  # a claim wins only a pending row, for the `runs` of its message
    lock: bool = True  # only a worker whose lock is free is rescued from
    resync: bool = True  # what was lost with Redis is sent again
    watch: bool = True  # a worker gives back a row that runs under its number and that nobody holds
    linking: bool = True  # but not one that it may be about to learn of


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often each may happen."""

    kills: int = 0  # of a worker
    cuts: int = 0  # of the connection that holds a worker's lock
    flushes: int = 0  # of Redis
    depositions: int = 0  # a leader's connection is cut
    replies: int = 0  # a claim is won, or a job handed over, and the answer lost


class Row(NamedTuple):
    status: str
    runs: int
    owner: int  # -1: nobody
    losses: int


class Worker(NamedTuple):
    up: bool
    lock: bool  # what PostgreSQL says
    believes: bool  # what the worker says
    step: str  # "", "linking": PostgreSQL runs it here, and says so; "handed", "got" a message, in the "body", at the "end"
    run: int
    cut: bool  # its lock was ever cut


class Leader(NamedTuple):
    leads: bool  # what it says; PostgreSQL's word is State.office
    window: frozenset[int]
    missed: frozenset[int]
    picked: int  # 0: nothing
    seen: tuple[int, ...]  # how often in a row each worker's lock was free, at most twice
    chosen: int  # the run to be rescued; 0: none


class State(NamedTuple):
    row: Row
    redis: tuple[int, ...]  # the runs that the messages are for
    workers: tuple[Worker, ...]
    leaders: tuple[Leader, ...]
    office: int  # which leader holds the lock; -1: none
    left: tuple[int, ...]  # faults, as in Faults


class Violation(AssertionError):
    """A state that must not be, with the steps that lead to it."""


NOBODY = Leader(leads=False, window=frozenset(), missed=frozenset(), picked=0, seen=(0, 0), chosen=0)
FRESH = Worker(up=True, lock=True, believes=True, step="", run=0, cut=False)


def start(faults: Faults, *, handed: bool = False) -> State:
    """A job that was inserted; `handed`: by the end of the one before it, which worker 0 has just committed."""
    left = (faults.kills, faults.cuts, faults.flushes, faults.depositions, faults.replies)
    if handed:
        return State(Row(RUNNING, 1, 0, 0), (), (FRESH._replace(step="linking", run=1), FRESH), (NOBODY, NOBODY), -1, left)
    return State(Row(PENDING, 0, -1, 0), (), (FRESH, FRESH), (NOBODY, NOBODY), -1, left)


def with_worker(state: State, number: int, worker: Worker) -> State:
    return state._replace(workers=(*state.workers[:number], worker, *state.workers[number + 1 :]))


def with_leader(state: State, number: int, leader: Leader) -> State:
    return state._replace(leaders=(*state.leaders[:number], leader, *state.leaders[number + 1 :]))


def spend(state: State, fault: int) -> State:
    return state._replace(left=(*state.left[:fault], state.left[fault] - 1, *state.left[fault + 1 :]))


def worker_steps(state: State, number: int, rules: Rules) -> Iterator[tuple[str, State]]:
    worker, row = state.workers[number], state.row
    if not worker.up:
        return
    idle = worker._replace(step="", run=0)
    if worker.believes and not worker.step:
        for run in set(state.redis):
            rest = list(state.redis)
            rest.remove(run)
            yield f"pops {run}", with_worker(state._replace(redis=tuple(rest)), number, worker._replace(step="got", run=run))
    if worker.step == "got":
        if (
            not worker.believes
            or (rules.guard and (row.status != PENDING or row.runs != worker.run - 1))
            or row.status in (COMPLETED, FAILED)
        ):
            yield "is refused", with_worker(state, number, idle)
        else:
            claimed = state._replace(row=Row(RUNNING, worker.run, number, row.losses))
            yield f"claims {worker.run}", with_worker(claimed, number, worker._replace(step="body"))
            if state.left[4]:
                yield "claims and does not learn of it", spend(with_worker(claimed, number, idle), 4)
    if worker.step == "linking":
        yield "learns that the job is handed over", with_worker(state, number, worker._replace(step="handed"))
        if state.left[4]:
            yield "does not learn that the job is handed over", spend(with_worker(state, number, idle), 4)
    if worker.step == "handed":
        if worker.believes:
            yield f"begins {worker.run}", with_worker(state, number, worker._replace(step="body"))
        elif row.status == RUNNING and row.runs == worker.run:
            yield "gives back what was handed over", with_worker(state._replace(row=Row(PENDING, row.runs, -1, row.losses)), number, idle)
        else:
            yield "cannot give back what was taken away", with_worker(state, number, idle)
    if worker.step == "body":
        yield "reaches the end of the body", with_worker(state, number, worker._replace(step="end"))
    if worker.step == "end":
        mine = row.status == RUNNING and row.runs == worker.run
        if mine or not rules.fence:
            if not mine:
                raise Violation("a stale run overwrites a newer one")
            yield "completes", with_worker(state._replace(row=row._replace(status=COMPLETED)), number, idle)
        else:
            yield "is refused at the end", with_worker(state, number, idle)
    if worker.believes and not worker.lock:
        yield "notices that its lock is gone", with_worker(state, number, worker._replace(believes=False))
    if not worker.believes:
        yield "takes its lock again", with_worker(state, number, worker._replace(lock=True, believes=True))
    holds = worker.step in (("linking",) if rules.linking else ()) + ("handed", "body", "end") and worker.run == row.runs
    if rules.watch and worker.believes and worker.step != "got" and row.status == RUNNING and row.owner == number and not holds:
        yield "gives back what nobody holds", state._replace(row=Row(PENDING, row.runs, -1, row.losses))


def leader_steps(state: State, number: int, rules: Rules) -> Iterator[tuple[str, State]]:
    leader, row = state.leaders[number], state.row
    in_office = state.office == number
    if not leader.leads:
        if state.office == -1:  # the lanes are read first of all
            yield (
                "is elected",
                with_leader(state._replace(office=number), number, NOBODY._replace(leads=True, window=frozenset(state.redis))),
            )
        return
    if leader.picked:  # it may have lost its office since
        pushed = state._replace(redis=tuple(sorted((*state.redis, leader.picked))))
        yield f"pushes {leader.picked}", with_leader(pushed, number, leader._replace(picked=0, window=leader.window | {leader.picked}))
    if not in_office:
        yield "notices that it leads no more", with_leader(state, number, NOBODY)
        return
    due = row.runs + 1
    if row.status == PENDING and not leader.picked and due not in leader.window:
        yield f"picks {due}", with_leader(state, number, leader._replace(picked=due))
    if rules.resync and not leader.picked:
        missing = {run for run in leader.window if run not in state.redis}
        waits = {run for run in missing if row.status == PENDING and run == due}
        lost = waits & leader.missed
        after = leader._replace(window=leader.window - (missing - waits) - lost, missed=frozenset(waits - lost))
        if after != leader:
            yield "reads the lanes back", with_leader(state, number, after)
    for other, worker in enumerate(state.workers):
        free = not worker.lock or not rules.lock
        seen = (*leader.seen[:other], min(leader.seen[other] + 1, 2) if free else 0, *leader.seen[other + 1 :])
        if seen != leader.seen:
            yield f"looks at the lock of worker {other}", with_leader(state, number, leader._replace(seen=seen))
        if leader.seen[other] == 2 and row.status == RUNNING and row.owner == other and not leader.chosen:
            yield f"finds run {row.runs} lost", with_leader(state, number, leader._replace(chosen=row.runs))
    if leader.chosen:
        done = with_leader(state, number, leader._replace(chosen=0))
        if row.status == RUNNING and row.runs == leader.chosen:
            status = FAILED if row.losses + 1 >= MAX_LOST else PENDING
            yield f"rescues run {row.runs}", done._replace(row=Row(status, row.runs, -1, row.losses + 1))
        elif not rules.fence and row.status == RUNNING:
            raise Violation("a rescue takes a newer run away")
        else:
            yield "comes too late to rescue", done


def faults(state: State) -> Iterator[tuple[str, State]]:
    kills, cuts, flushes, depositions, _ = state.left
    for number, worker in enumerate(state.workers):
        if kills and worker.up and sum(other.up for other in state.workers) > 1:
            dead = Worker(up=False, lock=False, believes=False, step="", run=0, cut=True)
            yield f"worker {number} is killed", spend(with_worker(state, number, dead), 0)
        if cuts and worker.up and worker.lock:
            yield f"the lock of worker {number} is cut", spend(with_worker(state, number, worker._replace(lock=False, cut=True)), 1)
    if flushes and state.redis:
        yield "Redis is emptied", spend(state._replace(redis=()), 2)
    if depositions and state.office != -1:
        yield f"leader {state.office} is cut off", spend(state._replace(office=-1), 3)


def check(state: State) -> None:
    """What must hold in each state."""
    running = [(number, worker) for number, worker in enumerate(state.workers) if worker.step in ("body", "end")]
    if len({worker.run for _, worker in running}) != len(running):
        raise Violation("two workers are in the same run")
    for number, worker in running:
        row = state.row
        if not worker.cut and (row.status, row.runs, row.owner) != (RUNNING, worker.run, number):
            raise Violation(f"worker {number} never lost its lock, and its run was taken away")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    states: int
    steps: int
    ends: set[str]


def explore(limits: Faults, rules: Rules | None = None, *, handed: bool = False) -> Found:
    """Every state that can be reached. Raises Violation with the steps that lead to a wrong one, or to one that no step leads out of."""
    rules = rules or Rules()
    first = start(limits, handed=handed)
    came: dict[State, tuple[State | None, str]] = {first: (None, "")}
    into: dict[State, list[State]] = {}  # without faults: by which the end must be reached
    todo, steps = deque([first]), 0
    while todo:
        state = todo.popleft()
        try:
            check(state)
            for what, after, is_fault in successors(state, rules):
                steps += 1
                if not is_fault:
                    into.setdefault(after, []).append(state)
                if after not in came:
                    came[after] = (state, what)
                    todo.append(after)
        except Violation as wrong:
            raise Violation(f"{wrong}: {'; '.join(story(came, state))}") from None
    ended = [state for state in came if state.row.status in (COMPLETED, FAILED)]
    good, todo = set(ended), deque(ended)
    while todo:
        for before in into.get(todo.popleft(), ()):
            if before not in good:
                good.add(before)
                todo.append(before)
    for state in came:  # in the order of discovery: the shortest story first
        if state not in good:
            raise Violation(f"the job never ends: {'; '.join(story(came, state))}")
    return Found(states=len(came), steps=steps, ends={state.row.status for state in ended})


def successors(state: State, rules: Rules) -> Iterator[tuple[str, State, bool]]:
    for number in range(len(state.workers)):
        for what, after in worker_steps(state, number, rules):
            yield f"worker {number} {what}", after, False
    for number in range(len(state.leaders)):
        for what, after in leader_steps(state, number, rules):
            yield f"leader {number} {what}", after, False
    for what, after in faults(state):
        yield what, after, True


def story(came: dict[State, tuple[State | None, str]], state: State) -> list[str]:
    told: list[str] = []
    step: State | None = state
    while step is not None:
        step, what = came[step]
        if what:
            told.insert(0, what)
    return told
