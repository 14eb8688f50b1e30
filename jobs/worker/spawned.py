"""What a child of prefork that was spawned, a new interpreter, is handed: a forked one has it from its parent's memory."""

from functools import partial
from typing import TYPE_CHECKING, Any

import billiard
from billiard import reduction
from celery import signals

if TYPE_CHECKING:
    from jobs.worker.process import Parent


class Name(str):
    """The worker's name, which Celery hands to each child. With it go the worker's memory and its time limits."""

    __slots__ = ("limits", "parent")
    parent: "Parent"
    limits: tuple[float | None, float | None]

    def __reduce__(self) -> Any:
        from jobs.celery_app import last_resort

        board = None if last_resort.board is None else last_resort.board.descriptor
        return _unpack, (str(self), _handed(self.parent.descriptor), _handed(board), self.limits)


def provide(worker: Any, parent: "Parent") -> None:
    """Before the pool of a worker starts. Where it forks nothing is to be handed on."""
    pool = worker.pool
    if pool.forking_enable and billiard.get_start_method() == "fork":
        return
    app, name = pool.options["initargs"]
    handed = Name(name)
    handed.parent, handed.limits = parent, (worker.time_limit, worker.soft_time_limit)
    pool.options["initargs"] = (app, handed)


def _handed(descriptor: int | None) -> Any:
    """It is open in the child too, perhaps under another number."""
    return None if descriptor is None else reduction.DupFd(descriptor)


def _unpack(name: str, parent: Any, board: Any, limits: tuple[float | None, float | None]) -> str:
    """In the child. Django is not set up yet; it is when the child is ready."""
    descriptors = [handed and handed.detach() for handed in (parent, board)]
    signals.worker_process_init.connect(partial(_attach, descriptors, limits), weak=False)
    return name


def _attach(descriptors: list[int | None], limits: tuple[float | None, float | None], **_: Any) -> None:
    from jobs.celery_app import last_resort, process_engine
    from jobs.celery_app import limits as time_limits
    from jobs.celery_app.deadline_board import Board
    from jobs.worker.process import Parent, child_engine

    parent, board = descriptors
    process_engine.attach(partial(child_engine, Parent(parent)))
    last_resort.board = None if board is None else Board(board)
    time_limits.of_worker(*limits)
