"""The stacks of what runs answer as Celery's do."""

import threading
from types import SimpleNamespace
from typing import Any

from celery import _state
from celery.utils.threads import LocalStack, release_local

from jobs.worker import stacks


def quick() -> Any:
    stack = LocalStack()
    stacks.quicken(SimpleNamespace(tasks={"t": SimpleNamespace(request_stack=stack)}))
    return stack


def story(stack: Any) -> list[Any]:
    """What a stack says while it is used."""
    said = [len(stack), stack.top, stack.pop(), list(stack.stack)]
    for value in ("first", "second"):
        said += [list(stack.push(value)), stack.top, len(stack), list(stack.stack)]
    elsewhere: list[Any] = []

    def other() -> None:
        elsewhere.extend((stack.top, len(stack), stack.push("theirs")[:], stack.pop(), stack.pop()))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    said += [elsewhere, str(stack()), stack.pop(), stack.top, stack.pop(), stack.pop(), len(stack)]
    stack.push("left")
    release_local(stack)
    return [*said, stack.top, len(stack)]


def test_a_quick_stack_says_what_celerys_says() -> None:
    stack = quick()
    assert type(stack) is stacks.Stack
    assert [str(said) for said in story(stack)] == [str(said) for said in story(LocalStack())]
    assert stack.stacks == {}


def test_a_stack_in_use_stays_as_it_is() -> None:
    used = LocalStack()
    used.push("running")
    stacks.quicken(SimpleNamespace(tasks={"t": SimpleNamespace(request_stack=used)}))
    assert type(used) is LocalStack
    assert used.top == "running"


def test_the_stack_of_tasks_is_quick_in_a_worker() -> None:
    quick()
    assert type(_state._task_stack) is stacks.Stack
    assert _state.get_current_worker_task() is None
