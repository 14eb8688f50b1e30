"""Every setting of the engine, read once, with its default and its unit."""

import re
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

PREFIX: Final = "JOBS_"
MOST: Final = 2**31 - 1  # what a column of PostgreSQL holds
RANGES: Final = {  # of the numbers, both ends included
    "dispatch_window": (1, MOST),
    "shutdown_grace": (0, MOST),
    "default_timeout": (1, MOST),
    "retry_backoff": (0, MOST),
    "retry_backoff_max": (0, MOST),
    "max_lost": (1, MOST),
    "max_argument_bytes": (1, MOST),
    "retention_days": (0, 1_000_000),  # PostgreSQL's time begins 6,700 years ago
}
NEEDED: Final = ("key_prefix", "database")  # texts: None would be no key and no table


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The engine's settings; the Django setting is the field's name in capitals after `JOBS_`."""

    dispatch_window: int = 64  # messages in Redis per live worker and queue
    shutdown_grace: float = 25.0  # seconds a running job gets after SIGTERM
    default_timeout: int | None = 3600  # seconds; jobs made here; None: no limit
    retry_backoff: float = 1.0  # seconds before the first retry
    retry_backoff_max: float = 600.0  # seconds
    autoretry: bool = False  # also retry what existing Celery code sends
    max_lost: int = 3  # runs lost with their worker before the job is buried
    accept_foreign: bool = False  # take in Celery messages that others publish
    key_prefix: str = "jobs:"  # of every key in Redis
    leader_child: bool = True  # each worker starts a leader or standby
    max_argument_bytes: int = 262_144  # of args and kwargs together, as JSON
    retention_days: float = 7.0  # ended jobs are pruned after this
    allowed_commands: tuple[str, ...] = field(default=())  # names for the management_command job type
    # parts of names of arguments whose values are shown to nobody
    secret_patterns: tuple[str, ...] = (
        "password", "passwd", "secret", "token", "authorization", "api_key", "apikey", "passphrase", "pwd", "private_key", "privatekey",
        "access_key", "accesskey", "account_key", "accountkey", "credential", "cookie", "sessionid",
        "كلمة المرور", "كلمة مرور", "كلمة السر", "الرقم السري", "الرمز السري",
    )  # fmt: skip
    allow_private_addresses: bool = False  # http_request may reach private and loopback addresses
    site_url: str = ""  # of the dashboard, as people reach it; notices link to its pages, without it they name no page
    database: str = "default"  # alias in DATABASES
    database_direct_url: str = ""  # past a PgBouncer, for what needs a session


def _value(name: str, default: Any) -> Any:
    value = getattr(settings, PREFIX + name.upper(), default)
    if value is default:
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(item, str) for item in value):
            # ("token") is no tuple
            raise ImproperlyConfigured(f'{PREFIX}{name.upper()} must be a list of texts, as ["one", "two"], not {value!r}')
        return tuple(value)
    if value is None and name not in NEEDED:
        return value
    wanted = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(default, bool)):
        raise ImproperlyConfigured(f"{PREFIX}{name.upper()} must be {type(default).__name__}, not {value!r}")
    return value


@cache
def configuration() -> Configuration:
    """The validated settings. Raises ImproperlyConfigured with the setting's name when one is wrong."""
    defaults = Configuration()
    values = {item.name: _value(item.name, getattr(defaults, item.name)) for item in fields(Configuration)}
    for name, (least, most) in RANGES.items():
        if values[name] is None and name == "default_timeout":
            continue
        if values[name] is None or not least <= values[name] <= most:  # NaN is not either
            raise ImproperlyConfigured(f"{PREFIX}{name.upper()} must be from {least} to {most}, not {values[name]!r}")
    if values["site_url"] and not re.match(r"https?://[^\s/]+(/\S*)?$", values["site_url"]):
        raise ImproperlyConfigured(f"{PREFIX}SITE_URL must be an address as https://example.com/, not {values['site_url']!r}")
    return Configuration(**values)


def notice_recipients() -> list[str]:
    """Whom a notice about dead letters is mailed to: ADMIN_EMAILS, a list or one text with commas; another project may not have it."""
    named = getattr(settings, "ADMIN_EMAILS", None) or ()
    return [address.strip() for address in (named.split(",") if isinstance(named, str) else named) if address.strip()]


def _forget(*, setting: str, **_: Any) -> None:
    if setting.startswith(PREFIX):
        configuration.cache_clear()


setting_changed.connect(_forget)
