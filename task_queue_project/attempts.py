"""What django-axes notes of a wrong password: from where, and by which name, as its table can keep them."""

import ipaddress
from contextlib import suppress
from typing import Any, Final

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.http import HttpRequest

LONGEST: Final = 255  # characters of its columns
OF_ONE: Final = 64  # bits of an IPv6 address by which networks are told apart: whoever has one of its addresses has all others too


def name_of(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """The name that somebody gave, cut to the column; no account's name is so long."""
    name = (credentials or request.POST).get("username")
    return name and str(name).replace("\0", "")[:LONGEST]


def address_of(request: HttpRequest) -> str | None:
    """Where the request came from: what the outermost of PROXY_COUNT proxies saw. Further to the left anybody may write what he likes."""
    peer = request.META.get("REMOTE_ADDR") or None
    with suppress(ValueError):  # a server that listens on a socket knows none
        peer = _network(peer or "")
    seen = request.headers.get("X-Forwarded-For", "").split(",")
    if not 0 < settings.PROXY_COUNT <= len(seen):
        return peer
    with suppress(ValueError):  # a proxy that knows the client by another name than its address
        return _network(_alone(seen[-settings.PROXY_COUNT].strip()))
    return peer


def _network(text: str) -> str:
    """The address, of IPv6 the network that is one visitor's. Raises ValueError for what is no address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, OF_ONE), strict=False).network_address)
    return str(address)


def _alone(address: str) -> str:
    """Some proxies write 192.0.2.1:50000 or [2001:db8::1]:50000; a network card's name (fe80::1%eth0) the table would refuse."""
    address = address.partition("%")[0]
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


class Handler(AxesDatabaseHandler):
    """Django's own server lets null characters through in a header, gunicorn does not."""

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        for header in ("axes_user_agent", "axes_http_accept"):
            if request is not None:
                setattr(request, header, getattr(request, header).replace("\0", ""))
        super().user_login_failed(sender, credentials, request, **kwargs)
