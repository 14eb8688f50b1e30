"""To whom a job carries what nobody is shown: hidden values go to the address they were given for, or are written out."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jobs.tasks import http_request, recipients, send_email


def moved(task: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a job of this task with the `new` arguments goes to an address that it did not go to with the `old` ones."""
    name, addresses = _GOES_TO.get(task, ("", _readers))
    if name not in new or new[name] == old.get(name):
        return False
    return not addresses(new[name]) <= addresses(old.get(name))


def by(argument: str) -> list[str]:
    """The tasks that go where this argument says."""
    return [task for task, (name, _addresses) in _GOES_TO.items() if name == argument]


def _server(url: Any) -> frozenset[Any]:
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url  # what sends the request reads the address so too; Python's own urlsplit sees another host in some

    try:
        parts = parse_url(str(url).strip())
    except LocationParseError:
        return frozenset([url])
    return frozenset([(parts.scheme, parts.host, parts.port or {"http": 80, "https": 443}.get(parts.scheme or ""))])


def _readers(to: Any) -> frozenset[str]:
    return frozenset(recipients(str(to)))


_GOES_TO: Final[Mapping[str, tuple[str, Callable[[Any], frozenset[Any]]]]] = {
    http_request.name: ("url", _server),
    send_email.name: ("to", _readers),
}
