"""A task that is replaced by what never comes to the end that it was to have."""

from collections.abc import Callable
from typing import Any, Final

from celery import chain, chord, group, shared_task
from celery.canvas import Signature

from jobs import control
from tests.taskapp.flows import add_one, gate, ignores, raises, same, total
from tests.taskapp.odd import behind_a_gate


@shared_task(name="t.strict")
def strict(one: int, two: int) -> int:
    return one + two


class _Elsewhere(Signature):
    """Sends under another id than it was given."""

    def apply_async(self, *args: Any, **options: Any) -> Any:
        return same.delay(1)


SHAPES: Final[dict[str, Callable[[str], Any]]] = {
    "expired": lambda id: same.si(1).set(expires=-1) | add_one.s(),
    "revoked": lambda id: same.si(1).set(countdown=3600, task_id=f"waits {id}") | add_one.s(),
    "ignored": lambda id: ignores.si() | add_one.s(),
    "rejected": lambda id: behind_a_gate.si("reject") | add_one.s(),
    "badly linked": lambda id: same.si(1) | strict.s(1, 2, 3),
    "chord of a failure": lambda id: chord([same.si(1), raises.si()], total.s()),
    "group with a failure": lambda id: group(same.si(1), raises.si()),
    "chord of an expired": lambda id: chord([same.si(1), same.si(1).set(expires=-1)], total.s()),
    "chord of a revoked": lambda id: chord([same.si(1), same.si(1).set(countdown=3600, task_id=f"waits {id}")], total.s()),
    "chord of an ignored": lambda id: chord([same.si(1), ignores.si()], total.s()),
    "chord of a rejected": lambda id: chord([same.si(1), behind_a_gate.si("reject")], total.s()),
    "chord of a chain that is ignored": lambda id: chord([same.si(1), chain(ignores.si(), add_one.s())], total.s()),
    "chord of a chord that fails": lambda id: chord([same.si(1), chord([raises.si()], total.s())], total.s()),
    "chord in a chain": lambda id: chain(ignores.si(), chord([same.si(1), same.si(2)], total.s())),
    "body that cannot be sent": lambda id: chord([same.si(1)], strict.s(1, 2, 3)),
    "replaced again": lambda id: chain(replaced_oddly.si("chord of a failure"), add_one.s()),
    "elsewhere": lambda id: _Elsewhere("t.same", args=(1,)),
}


@shared_task(name="t.replaced_oddly", bind=True)
def replaced_oddly(self: Any, kind: str) -> Any:
    return self.replace(SHAPES[kind](self.request.id))


@shared_task(name="t.replaced_by_chunks", bind=True)
def replaced_by_chunks(self: Any) -> Any:
    return self.replace(strict.chunks([(1, 1), (2, 2), (3, 3)], 2))


@shared_task(name="t.asked_and_replaced", bind=True)
def asked_and_replaced(self: Any, *, by_a_chain: bool) -> Any:
    """Its worker learns of the request, within a second, after its end."""
    control.cancel([self.job_id], "sara")
    return self.replace(chain(same.si(1), add_one.s()) if by_a_chain else same.si(1))


@shared_task(name="t.replaced_behind_a_gate", bind=True)
def replaced_behind_a_gate(self: Any, kind: str) -> Any:
    opens = gate.si("taken over")
    return self.replace(chain(opens, add_one.s()) if kind == "chain" else chord([opens, same.si(1)], total.s()))
