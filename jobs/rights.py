"""Who may do what to many jobs, also while it goes on."""

from typing import Final

from django.contrib.auth import get_user_model

from jobs.domain.actors import Actor, Source
from jobs.models.audit import Verb

_ACCOUNTS: Final = (Source.PAGE, Source.ADMIN, Source.API)  # who comes this way has one; code and commands need none


def needed(verb: Verb, *, entries: bool) -> str:
    """The permission for the act on jobs, or on `entries` of the dead letter queue."""
    if entries:
        return "jobs.triage_deadletterqueue"
    return "jobs.delete_job" if verb is Verb.DELETE else "jobs.control_job"


def may(actor: Actor, permission: str) -> bool:
    """Whether the actor's account is there, is active and has the permission now."""
    if actor.source not in _ACCOUNTS:
        return True
    model = get_user_model()
    account = model._default_manager.filter(**{model.USERNAME_FIELD: actor.name}).first()
    return account is not None and account.has_perm(permission)
