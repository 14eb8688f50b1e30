"""To whom a job carries what nobody is shown: hidden values go to the address they were given for, or are written out."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jobs.tasks import http_request, recipients, send_email


def moved(task: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a job of this task with the `new` arguments goes to an address that it did not go to with the `old` ones."""
    names, addresses = _GOES_TO.get(task, ((), _readers))
    if all(name not in new or new[name] == old.get(name) for name in names):
        return False
    return not addresses({**old, **new}) <= addresses(old)


def by(argument: str) -> list[str]:
    """The tasks that go where this argument says."""
    return [task for task, (names, _addresses) in _GOES_TO.items() if argument in names]


def _server(values: Mapping[str, Any]) -> frozenset[Any]:
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url  # what sends the request reads the address so too; Python's own urlsplit sees another host in some

    url = str(values.get("url")).strip()
    try:
        parts = parse_url(url)
    except LocationParseError:
        return frozenset([url])
    server = (parts.scheme, parts.host, parts.port or {"http": 80, "https": 443}.get(parts.scheme or ""))
    return frozenset((*server, site) for site in _sites(values.get("headers")) or [str(parts.host)])


def _sites(headers: Any) -> list[str]:
    """What the request calls the site itself: a server may have many."""
    given = headers if isinstance(headers, dict) else {}
    return [str(value).strip().lower() for name, value in given.items() if name.strip().lower() == "host"]


def _readers(values: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(recipients(str(values.get("to"))))


_GOES_TO: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], frozenset[Any]]]]] = {
    http_request.name: (("url", "headers"), _server),
    send_email.name: (("to",), _readers),
}
