"""The errors a job can meet. Each docstring is the message people read."""


class JobError(Exception):
    """Something about this job is wrong."""

    def __str__(self) -> str:
        return super().__str__() or (self.__doc__ or "").strip()


class PermanentError(JobError):
    """This job can never succeed; it goes to the dead letter queue without another attempt."""


class JobTimeout(JobError):
    """The job ran longer than its time limit."""


class JobCancelled(JobError):
    """The job was cancelled while it ran."""


class TaskExit(JobError):
    """The task asked its process to exit (SystemExit)."""


class TaskEnded(JobError):
    """The task ended by raising something that is not an Exception."""


class JobInterrupted(BaseException):
    """The worker was stopped while it ran the job; the job was given back."""


class NotCommitted(JobError, RuntimeError):
    """get() inside the transaction that enqueued the job would wait forever: the job is not committed yet. Call it after the commit."""


class JobFailed(JobError):
    """The job failed for good."""
