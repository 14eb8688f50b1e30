"""The tables. Rows of jobs are written by `jobs.store` only."""

from jobs.models.attempt import Attempt
from jobs.models.audit import Audit
from jobs.models.batch import Batch
from jobs.models.canvas import Aftermath, Chord, ChordPart, SavedGroup, StoredResult
from jobs.models.dead_letter import DeadLetterQueue
from jobs.models.error_group import ErrorGroup
from jobs.models.job import Job
from jobs.models.outage import Outage
from jobs.models.preference import Preference
from jobs.models.worker import Worker

__all__ = [
    "Aftermath", "Attempt", "Audit", "Batch", "Chord", "ChordPart", "DeadLetterQueue", "ErrorGroup", "Job",
    "Outage", "Preference", "SavedGroup", "StoredResult", "Worker",
]  # fmt: skip
