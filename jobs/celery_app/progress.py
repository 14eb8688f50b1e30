"""How far a run is, noted while it runs."""

from typing import Any

from jobs.celery_app import encoding, process_engine
from jobs.store import transitions


def report(outcome: Any, fraction: float, message: str) -> bool:
    """Note how far the run is, over the engine's connection, so that a transaction of the task does not hold the row."""
    return _note(outcome, {"fraction": fraction, "message": transitions.clean(message, 500)})


def report_state(outcome: Any, state: str, encoded: Any) -> bool:
    """A state of the task's own (`update_state`); `current` and `total` in it are how far the run is."""
    fraction = 0.0
    if isinstance(encoded, dict) and encoded.get("total"):
        try:
            fraction = min(max(float(encoded["current"]) / float(encoded["total"]), 0.0), 1.0)
        except (KeyError, TypeError, ValueError):
            pass  # not numbers: a state without a fraction
    return _note(outcome, {"fraction": fraction, "message": transitions.clean(state, 500), "state": state, "result": encoded})


def _note(outcome: Any, progress: dict[str, Any]) -> bool:
    text = encoding.text(progress)
    return bool(process_engine.current().write(lambda cursor: transitions.report_progress(cursor, outcome.run, text)))
