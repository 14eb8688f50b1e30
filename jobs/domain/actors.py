"""Who asks for a change, and from where."""

from dataclasses import dataclass
from enum import StrEnum


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
    batch: int | None = None  # the act on many jobs by which it is done


def actor_of(by: str | Actor) -> Actor:
    """A plain name comes from code."""
    return by if isinstance(by, Actor) else Actor(name=by)
