"""The part of a group commit that sends one by one what was refused together: one job's trouble is no other's."""

from typing import Any

import gevent

from jobs.domain.complaint import Complaint
from jobs.store import late, transitions
from jobs.store.engine import unless_locked, unless_refused
from jobs.worker.counting import Counting
from jobs.worker.flush import Change
from jobs.worker.registration import Registration


class Apart(Counting):
    """For `GroupCommit`: a locked row or a bad value among the changes of a batch."""

    registration: Registration
    was_held: bool
    refused: Complaint

    def _within_slots(self, completions: list[Change], claims: list[Change]) -> list[Change]:
        raise NotImplementedError

    def _apart(self, completions: list[Change], claims: list[Change], *, doubt: bool = True, passing: bool = False) -> None:
        """Its neighbours may not wait for it. Claims that were refused for a moment (`passing`), or need the slots of the completions, are
        dispatched again. All others would come together again, and be refused together. So would those that may have been committed
        before (`doubt`), and whose rows that very transaction may still keep locked: their jobs may run here, and have their slots.
        """
        for change in completions:
            self.on_parked(gevent.spawn(self._alone, change, doubt))
        if passing and doubt:
            for change in claims:
                gevent.spawn(self._claim_alone, change, doubt)
        elif passing:
            for change in claims:
                self._answer(change, False)
        else:
            for change in self._within_slots([], claims):
                gevent.spawn(self._claim_alone, change)

    def _alone(self, change: Change, doubt: bool) -> None:
        run = change.run
        try:
            won = self.write(
                lambda cursor: transitions.complete(cursor, run, result=change.text),
                written=lambda cursor: late.was_written(cursor, run),
                doubt=doubt,
                job=run.id,
            )
            self._answer(change, bool(won), ended=True)
        except Exception as error:  # whatever it is, the task that waits for the answer must hear of it
            change.answer.set_exception(error)

    def _claim_alone(self, change: Change, doubt: bool = False) -> None:
        def claim(cursor: Any) -> bool:
            return transitions.claim(
                cursor, change.run, task_id=str(change.text), worker=self.worker_id, queue=change.queue, priority=change.priority
            )

        won = False
        try:
            claimed = unless_refused(claim if doubt else unless_locked(claim), self.refused.say)
            won = bool(self.write(claimed, written=lambda cursor: late.was_claimed(cursor, change.run, self.worker_id), doubt=doubt))
        except Exception as error:  # as above
            self.refused.say(error)
        self.was_held = self.registration.held
        self._answer(change, won)
