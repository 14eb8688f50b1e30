"""How far a run is, noted while it runs."""

import math
from typing import Any

from jobs.celery_app import encoding, process_engine
from jobs.store import transitions


def report(outcome: Any, fraction: float, message: Any) -> bool:
    """Note how far the run is, over the engine's connection, so that a transaction of the task does not hold the row."""
    return _note(outcome, {"fraction": _share(fraction), "message": transitions.clean("" if message is None else str(message), 500)})


def report_state(outcome: Any, state: Any, encoded: Any) -> bool:
    """A state of the task's own (`update_state`), None where it names none; `current` and `total` in it are how far the run is."""
    fraction = 0.0
    if isinstance(encoded, dict):
        try:
            fraction = _share(float(encoded["current"]) / float(encoded["total"]))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            pass  # not numbers, or none that say how far: a state without a fraction
    message = "" if state is None else transitions.clean(str(state), 500)
    return _note(outcome, {"fraction": fraction, "message": message, "state": state, "result": encoded})


def _share(number: Any) -> float:
    """From 0 to 1; what is no number that can be compared is 0."""
    try:
        share = min(max(float(number), 0.0), 1.0)
    except OverflowError:  # an int of hundreds of digits
        share = 1.0 if number > 0 else 0.0
    return 0.0 if math.isnan(share) else share


def _note(outcome: Any, progress: dict[str, Any]) -> bool:
    text = encoding.text(progress)
    return bool(process_engine.current().write(lambda cursor: transitions.report_progress(cursor, outcome.run, text)))
