"""What the cases enqueue."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task(takes_context=True)
def attempt(context: Any, failures: int) -> dict[str, Any]:
    if context.attempt <= failures:
        raise LookupError(f"attempt {context.attempt}")
    return {"attempt": context.attempt, "id": context.task_result.id, "priority": context.task_result.task.priority}


@task
def fails(kind: str) -> Any:
    if kind == "exit":
        raise SystemExit("no")
    if kind == "result":
        return lambda: True
    if kind == "own":
        raise OwnError("one\ntwo: three")
    raise ValueError("no")


class OwnError(Exception):
    """An error of a task's own."""


@task(takes_context=True)
def login(context: Any, user: str, password: str = "", *tokens: str) -> list[Any]:
    return [context.attempt, user, password, *tokens]


@task
async def count_users() -> int:
    return await get_user_model().objects.acount()


@task
def count_users_plainly() -> int:
    time.sleep(0.05)
    return get_user_model().objects.count()


@task
async def waits(file: str, name: str) -> None:
    """Waits for what does not come, and notes in a file that it begins and, after a query, that it has ended."""
    with Path(file).open("a") as notes:
        notes.write(f"{name} begins\n")
        notes.flush()
        try:
            await asyncio.sleep(1000)
        finally:
            await get_user_model().objects.acount()
            notes.write(f"{name} ends\n")


@task
async def waits_in_a_call() -> None:
    await sync_to_async(time.sleep)(1000)


@task
async def does_not_end() -> None:
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


@task
def looks_up() -> bool:
    return bool(socket.getaddrinfo("localhost", 80))


NOT_A_TASK = print
