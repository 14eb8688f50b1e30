"""Celery's result backend over the rows: reading, and what Celery stores besides the ends of runs."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from celery import states
from celery.exceptions import TaskRevokedError
from celery.result import GroupResult, result_from_tuple
from celery.utils.functional import _regen
from kombu.exceptions import EncodeError
from kombu.utils.json import loads

from jobs.celery_app import chords, failures, killed, meta, progress, sending, settle
from jobs.celery_app.encoding import text
from jobs.celery_app.waiting import Waiting
from jobs.store import caller, canvas, replaced, results
from jobs.store.transitions import Failure, Run

_NONE: Final = ("rows://", "disabled://", "disabled", "", None)  # what stands for no backend of a project's own


class Backend(Waiting):
    """The row is the result; `settle` writes the ends of runs."""

    persistent = True
    supports_autoexpire = True
    supports_native_join = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """A row is JSON, whatever result_serializer says: pickle would leave exceptions as objects."""
        super().__init__(*args, **kwargs | {"serializer": "json"})

    # what the tracer tells

    def mark_as_done(self, task_id: str, result: Any, request: Any = None, store_result: bool = True, state: str = states.SUCCESS) -> None:
        """Settle the run; Celery calls this after the callbacks, before the signals of success."""
        outcome = getattr(request, "outcome", None)
        if outcome is None:
            super().mark_as_done(task_id, result, request, store_result, state)
        elif not outcome.settled:
            if request.chord:
                outcome.parts.append((request, state, result))
            value, children = self.prepare_value(result) if store_result else None, self.current_task_children(request)
            try:
                settle.complete(outcome, value, children, store_result)
            except EncodeError:  # a failure of the task, by which its chord hears of it
                outcome.parts.clear()
                raise

    def mark_as_failure(
        self, task_id: str, exc: Any, traceback: Any = None, request: Any = None, store_result: bool = True,
        call_errbacks: bool = True, state: str = states.FAILURE,
    ) -> None:  # fmt: skip
        """Tell the chord, the chain and the errbacks; the run itself settles in `task_failure`, or here when its process was killed."""

        run = _run_of(request)
        outcome = getattr(request, "outcome", None)
        if outcome is not None and outcome.settled:  # what raised after that is in the log, or was the end itself
            return
        if outcome is not None and call_errbacks and request.errbacks:
            outcome.errbacks = request.errbacks

        def tell() -> None:
            now = call_errbacks and outcome is None and run is None  # else once the end is committed
            super(Backend, self).mark_as_failure(task_id, exc, traceback, request, store_result, now, state)

        if run is None:
            tell()
        else:
            killed.bury(self.app, request, run, exc, traceback, tell)

    def mark_as_revoked(
        self, task_id: str, reason: str = "", request: Any = None, store_result: bool = True, state: str = states.REVOKED
    ) -> None:
        """End the job of a message that was revoked or has expired before it ran, or of a run that was terminated."""
        run = _run_of(request)
        if run is None:
            super().mark_as_revoked(task_id, reason, request, store_result, state)
        else:
            settle.revoked(run, reason)

    # results

    def store_result(self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any) -> Any:
        """A state set by hand, or the result of an id that no job has. The ends of runs are written by `settle`."""
        encoded = self.encode_result(result, state)
        own = request is not None and task_id == request.id and getattr(request, "job_id", None) is not None
        if own:
            outcome = getattr(request, "outcome", None)
            if outcome is None or outcome.closing:
                return encoded  # STARTED, or the end
            outcome.reported = (state, encoded)
            progress.report_state(outcome, state, encoded)
        elif not self._is_nobodys(task_id, request):
            report = meta.report(state, encoded, traceback)
            trace = str(traceback) if traceback else None
            sending.do(self.app, lambda cursor: _store(cursor, task_id, state, encoded, trace, report), whole=True)
        return encoded

    def _is_nobodys(self, task_id: str, request: Any) -> bool:
        """Whether this is the state of a run that no result is kept of, so that it costs a test no query: of an eager one, or of a direct
        call where the project has no result backend of its own. Raises ValueError for no id, as Celery's backends of keys and values do.
        """
        if task_id:
            is_eager = request is not None and request.is_eager and task_id == request.id
            return is_eager and not getattr(self.app.tasks.get(request.task), "store_eager_result", False)
        if request is not None and not _names_a_backend(self.app.conf):
            return True
        raise ValueError(f"task_id must not be empty. Got {task_id} instead.")

    def prepare_exception(self, exc: BaseException, serializer: str | None = None) -> Any:
        """Celery's; of an exception that cannot be written its text is kept, since every run must reach its end."""
        try:
            found = super().prepare_exception(exc, serializer)
            text(found)
        except Exception:  # an exception of the task's own may have arguments that raise whatever they like
            return failures.plain(exc)
        return found

    def encode_state(self, state: str, reason: str) -> str:
        """The stored result of an id that was revoked, as JSON text."""
        return text(self.encode_result(TaskRevokedError(reason), state))

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        return self.read([task_id])[str(task_id)]

    def read(self, task_ids: Iterable[str], cursor: Any = None) -> dict[str, dict[str, Any]]:
        """The metas of these ids; that of an id nobody knows is pending."""
        wanted = [str(task_id) for task_id in task_ids]
        cursor = cursor or sending.cursor_here()
        found = caller.ask(lambda own: results.read(own, wanted)) if cursor is None else results.read(cursor, wanted)
        extended = bool(self.app.conf.find_value_for_key("extended", "result"))
        return {
            task_id: self.meta_from_decoded(meta.of(task_id, one, extended=extended, tracked=self._is_tracked(one)))
            for task_id in wanted
            for one in [found.get(task_id)]
        }

    def _is_tracked(self, found: results.Found | None) -> bool:
        """Whether people are to see that a job runs; Celery shows it as PENDING, or RETRY, otherwise."""
        if found is None or found.status != "running":
            return False
        task = self.app.tasks.get(found.task)
        if not (self.app.conf.task_track_started or getattr(task, "track_started", False)):
            return False
        ignored = meta.headers_of(found).get("ignore_result")
        return not (getattr(task, "ignore_result", False) if ignored is None else ignored)

    def decode_result(self, payload: Any) -> Any:
        """Metas are made decoded."""
        return payload

    def _forget(self, task_id: str) -> None:
        sending.do(self.app, lambda cursor: canvas.forget(cursor, task_id, meta.FORGOTTEN))

    # groups and chords

    def _save_group(self, group_id: str, result: Any) -> Any:
        saved = text(result.as_tuple())
        sending.do(self.app, lambda cursor: canvas.save_group(cursor, group_id, saved))
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        saved = self._ask(lambda cursor: canvas.saved_group(cursor, group_id))
        return {"result": result_from_tuple(loads(saved), self.app)} if saved else None

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        """Read, also while an outcome gathers what it will write."""
        cursor = sending.cursor_here()
        return caller.ask(question) if cursor is None else question(cursor)

    def _delete_group(self, group_id: str) -> None:
        sending.do(self.app, lambda cursor: canvas.delete_group(cursor, group_id))

    def apply_chord(self, header_result_args: Any, body: Any, **kwargs: Any) -> None:
        """Called before the header is sent."""
        group_id, header = header_result_args[0], header_result_args[1]
        if isinstance(header, _regen):
            sending.stream(group_id)
        else:
            result = self.app.GroupResult(*header_result_args)
            if any(isinstance(part, GroupResult) for part in result.results):
                result.save(backend=self)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Called before the last task of the header is sent."""
        sending.end_stream(group_id)
        sending.do(self.app, lambda cursor: canvas.set_size(cursor, group_id, chord_size))

    def add_to_chord(self, chord_id: str, result: Any) -> None:
        """One more header task."""
        sending.do(self.app, lambda cursor: canvas.add_to_size(cursor, chord_id), whole=True)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """A header task has ended: count it in the transaction that writes its end."""
        chords.ended(self, request, state, result)

    def add_pending_result(self, result: Any, weak: bool = False) -> Any:
        """Nothing to prepare."""
        return result

    def remove_pending_result(self, result: Any) -> Any:
        """Nothing to give up."""
        return result


def _names_a_backend(conf: Any) -> bool:
    """Whether the project has chosen a result backend, which our default hides."""
    hidden = (each.get(name) for each in conf.maps for name in conf._to_keys("result_backend"))
    return any(found not in _NONE for found in (conf.result_backend, *hidden))


def _run_of(request: Any) -> Run | None:
    """The run of a request whose task does not run in this process, or not any more."""
    if request is None or getattr(request, "outcome", None) is not None or getattr(request, "job_id", None) is None:
        return None
    return Run(id=request.job_id, runs=request.runs)


def _store(cursor: Any, task_id: str, state: Any, encoded: Any, traceback: str | None, report: str) -> None:
    """The row is the truth while its job has not ended; a job that was replaced ends by what it was replaced with."""
    ready = state in states.READY_STATES
    if ready and state in states.EXCEPTION_STATES:
        failure = Failure(error_class=meta.class_of(encoded), message=meta.message_of(encoded), traceback=traceback or "")
        if replaced.bury(cursor, task_id, failure, report):
            return
    known = canvas.overwrite(cursor, task_id, report) if ready else canvas.report_state(cursor, task_id, report)
    if not known and not canvas.exists(cursor, task_id):
        canvas.store_result(cursor, task_id, "" if state is None else str(state), text(encoded), traceback)
