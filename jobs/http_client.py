"""One HTTP request to wherever a job says, without a way into the network that the worker stands in."""

import ipaddress
from typing import Any, Final

import requests
from requests_hardened import Config, Manager, ip_filter
from requests_hardened.ip_filter import InvalidIPAddress

from jobs.conf import configuration
from jobs.domain import own_failures
from jobs.domain.errors import PermanentError

CONNECT_TIMEOUT: Final = 10.0  # seconds
READ_TIMEOUT: Final = 30.0  # seconds without a byte
BODY_BYTES: Final = 65_536  # of a response, kept in the result
KEPT_HEADERS: Final = ("Content-Type", "Content-Length", "Date", "ETag", "Last-Modified", "Location", "Retry-After", "Server")
# Inside too, and not known to the library: addresses of a site, and IPv4's within IPv6.
ip_filter.EXTRA_BLOCKED_NET_RANGES += tuple(ipaddress.ip_network(each) for each in ("fec0::/10", "::/96", "::ffff:0:0:0/96"))


def send(method: str, url: str, headers: dict[str, str] | None, body: str) -> dict[str, Any]:
    """The answer's status, some of its headers and the beginning of its body. Raises PermanentError for an address it must not use."""
    try:
        with _session() as session, session.request(method, url, headers=headers, data=body.encode() or None, stream=True) as response:
            return _answer(response)
    except InvalidIPAddress as error:
        raise PermanentError(own_failures.PRIVATE_ADDRESS % {"address": error}) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
        raise PermanentError(str(error)) from None


def _session() -> requests.Session:
    """A session that connects to the very address it has checked, and never follows a redirect: it could lead inside."""
    config = Config(
        ip_filter_enable=not configuration().allow_private_addresses,
        ip_filter_allow_loopback_ips=False,
        never_redirect=True,
        default_timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
    )
    session = Manager(config).get_session()
    session.headers["User-Agent"] = "task-queue-project"
    session.trust_env = False  # a proxy or .netrc of the worker's environment is not the job's business
    return session


def _answer(response: requests.Response) -> dict[str, Any]:
    raw = response.raw.read(BODY_BYTES, decode_content=True) or b""
    text = _text(raw, response.encoding or "utf-8")
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    # PostgreSQL keeps \u0000 in json, but no text column or page can show it
    return {"status": response.status_code, "headers": headers, "body": text.replace("\0", "\ufffd")}


def _text(raw: bytes, encoding: str) -> str:
    try:
        text = raw.decode(encoding, "replace")
        text.encode()
    except (LookupError, ValueError):  # the server named an encoding that does not exist, or of names, or of half a character
        return raw.decode("utf-8", "replace")
    return text
