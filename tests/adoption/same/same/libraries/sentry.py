"""sentry-sdk: what a run reports belongs to its caller's trace, also that of the second call of a task."""

import sentry_sdk

from same.notes import noted
from same.running import of, program

from .calls import calls

T = 60


@program
def sentry():
    found = {}
    for name, (call, count, _) in calls().items():
        with sentry_sdk.isolation_scope(), sentry_sdk.start_transaction(name=f"caller {name}", op="test") as transaction:
            result = call()
        of(result.get, T)
        seen = noted(f"sentry {transaction.trace_id}", count)
        for each in seen:
            each["task id"] = each["task id"] and "<id>"
            each["spans"] = [span for span in each["spans"] if span != "queue.publish"]  # the leader publishes, not the caller
        found[name] = sorted(seen, key=str)
    return found
