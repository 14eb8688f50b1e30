"""What the jobs of a run do: the same bodies on this engine and on stock Celery."""

import os
import time
from typing import Any

from tests.chaos import ledger


class ChaosError(Exception):
    """A failure that a job of the run was made for."""


class FinalError(Exception):
    """A failure that no retry helps."""


def run(k: int, kind: str, spec: dict[str, Any], *, run: int, retries: int, final: type[Exception] = FinalError) -> dict[str, int]:
    """One run of job k: `run` counts all its runs (from 1), `retries` its failures so far."""
    how = "killed"
    try:
        ledger.record(("start", k, run, ""))
        _act(k, kind, spec, run, retries, final)
        how = "ok"
        return {"k": k, "run": run}
    except Exception as error:
        how = type(error).__name__
        raise
    finally:
        ledger.record(("end", k, run, how))


def _act(k: int, kind: str, spec: dict[str, Any], run: int, retries: int, final: type[Exception]) -> None:
    time.sleep(spec.get("seconds", 0))
    failure = f"k={k} run={run}"
    if kind == "flaky" and retries < spec["fails"]:
        raise ChaosError(failure)
    if kind == "doomed" or (kind == "heal" and run == 1):
        raise ChaosError(failure)
    if kind == "permanent":
        raise final(failure)
    if kind == "poison":
        os._exit(9)
