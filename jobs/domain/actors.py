"""Who asks for a change, and from where."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.functional import Promise


class Source(StrEnum):
    """The way by which a person reached the job."""

    PAGE = "page"
    ADMIN = "admin"
    COMMAND = "command"
    API = "api"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person or a program, by the name that the audit shows."""

    name: str
    source: Source = Source.CODE
    batch: int | None = None  # the bulk action by which it is done


def actor_of(by: str | Actor) -> Actor:
    """A plain name comes from code. Raises TypeError for what is no name."""
    return by if isinstance(by, Actor) else Actor(name=text_of("by", by))


def text_of(name: str, given: Any) -> str:
    """What somebody says, perhaps a text that is translated later. Raises TypeError for what is none, by the argument's name."""
    if not isinstance(given, str | Promise):
        raise TypeError(f"{name} is a text, not {given!r:.100}")
    return str(given)


def is_account(given: Any) -> bool:
    """Whether a row can name it as its maker: an account of the project, or nobody, or what stands for an account by its key."""
    accounts = get_user_model()
    if isinstance(given, type) or not hasattr(given, "pk") or (isinstance(given, Model) and not isinstance(given, accounts)):
        return False
    try:
        accounts._meta.pk.to_python(given.pk)
    except ValidationError:
        return False
    return True
