"""Settings that break a promise are told by `manage.py check`, with what to do."""

import math
import sys
from types import ModuleType
from typing import Any

import pytest
from celery import Celery as StockCelery
from celery import current_app
from django.conf import settings

from jobs import Celery, checks
from jobs.store import broker
from tests.archive import Router


def ids(messages: list[Any]) -> set[str]:
    assert all(message.hint for message in messages)
    return {message.id for message in messages}


@pytest.fixture
def conf() -> Any:
    """The app's settings, put back afterwards."""
    changed: dict[str, Any] = {}

    def change(**values: Any) -> None:
        for name, value in values.items():
            changed.setdefault(name, getattr(current_app.conf, name))
            setattr(current_app.conf, name, value)

    yield change
    for name, value in changed.items():
        setattr(current_app.conf, name, value)


def test_this_project_is_fine() -> None:
    assert checks.check_configuration() == checks.check_database() == checks.check_celery() == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"task_serializer": "pickle"}, "jobs.E005"),
        ({"accept_content": ["pickle"]}, "jobs.E005"),
        ({"task_always_eager": True}, "jobs.W003"),
        ({"worker_pool": "gevent"}, "jobs.W004"),
        ({"task_acks_late": True}, "jobs.I001"),
        ({"task_reject_on_worker_lost": True}, "jobs.I001"),
        ({"broker_transport_options": {"visibility_timeout": 3600}}, "jobs.I002"),
        ({"result_expires": 3600}, "jobs.I003"),
        ({"result_serializer": "pickle"}, "jobs.I004"),
    ],
)
def test_settings_of_celery(conf: Any, values: dict[str, Any], expected: str) -> None:
    conf(**values)
    assert ids(checks.check_celery()) == {expected}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("amqp://localhost", {"jobs.E004"}),
        ("valkey://localhost", {"jobs.E004"}),  # kombu knows none
        ("unix:///run/redis.sock", {"jobs.E004"}),  # redis+socket:// in Celery
        ("sentinel://localhost:26379", {"jobs.E008"}),
        ("redis://a/3;redis://b/3", {"jobs.E008"}),
        (["redis://a/3", "redis://b/3"], {"jobs.E008"}),
        ("redis://localhost/3", set()),
        ("rediss://localhost/3", set()),
        ("redis+socket:///run/redis.sock?virtual_host=3", set()),
    ],
)
def test_the_broker_is_one_redis(address: Any, expected: set[str]) -> None:
    app = Celery("elsewhere", broker=address, set_as_current=False)
    assert ids(list(checks._celery(app.conf))) == expected
    app = Celery("elsewhere", broker="redis://localhost/3", set_as_current=False)
    app.conf.broker_read_url = address
    assert ids(list(checks._celery(app.conf))) == expected
    if expected == {"jobs.E008"}:
        with pytest.raises(ValueError, match="more than one Redis"):
            broker.client(address)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"ENGINE": "django.db.backends.sqlite3"}, {"jobs.E002"}),
        ({"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}, {"jobs.W001"}),
        ({"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}, set()),
        ({"OPTIONS": {"pool": {"max_size": 3}}}, {"jobs.W002"}),
        ({"OPTIONS": {"pool": {"min_size": 2}}}, {"jobs.W002"}),
        ({"OPTIONS": {"pool": True}}, set()),
        ({"OPTIONS": {"pool": {"max_size": 4}}}, set()),
    ],
)
def test_settings_of_the_database(monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], expected: set[str]) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", settings.DATABASES["default"] | values)
    assert ids(checks.check_database()) == expected


@pytest.mark.parametrize(
    ("vendor", "expected"), [("postgresql", set()), ("sqlite", {"jobs.E002"}), ("microsoft", {"jobs.E002"}), (None, {"jobs.E002"})]
)
def test_a_backend_of_postgresql_may_have_any_name(monkeypatch: pytest.MonkeyPatch, vendor: str | None, expected: set[str]) -> None:
    """Of django-postgres-extra it is psqlextra.backend."""
    if vendor:
        backend = ModuleType("extra.backend.base")
        backend.DatabaseWrapper = type("DatabaseWrapper", (), {"vendor": vendor})  # type: ignore[attr-defined]
        for name in ("extra", "extra.backend"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "extra.backend.base", backend)
    monkeypatch.setitem(settings.DATABASES, "default", settings.DATABASES["default"] | {"ENGINE": "extra.backend"})
    (said,) = checks.check_database() or [None]
    assert (ids([said]) if said else set()) == expected
    assert vendor or "extra.backend" in str(said)


def test_a_database_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(settings.DATABASES, "default")
    assert ids(checks.check_database()) == {"jobs.E002"}


@pytest.mark.parametrize(
    ("routers", "expected"),
    [
        ([], {"jobs.E010"}),
        (["tests.archive.Router"], set()),
        (["tests.unit.test_checks.ReadsElsewhere"], {"jobs.W009"}),
        (["tests.unit.test_checks.LeadsJobsAlone"], {"jobs.W010"}),
        (["tests.unit.test_checks.MigratesJobsAlone"], {"jobs.E011"}),
    ],
)
def test_the_models_are_looked_for_where_the_jobs_are(
    settings: Any, monkeypatch: pytest.MonkeyPatch, routers: list[str], expected: set[str]
) -> None:
    monkeypatch.setitem(settings.DATABASES, "archive", settings.DATABASES["default"])
    settings.JOBS_DATABASE, settings.DATABASE_ROUTERS = "archive", routers
    assert ids(checks.check_database()) == expected


@pytest.mark.parametrize(
    ("tenants", "expected"),
    [
        ({}, set()),
        ({"SHARED_APPS": ["django_tenants", "jobs"], "TENANT_APPS": ["shop"]}, set()),
        ({"SHARED_APPS": ["django_tenants", "jobs"], "TENANT_APPS": ["shop", "jobs"]}, {"jobs.E012"}),
        ({"TENANT_APPS": ("jobs.apps.JobsConfig",)}, {"jobs.E012"}),
        ({"TENANT_TYPES": {"public": {"APPS": ["jobs"]}, "shop": {"APPS": ["shop"]}}}, set()),
        ({"TENANT_TYPES": {"public": {"APPS": ["jobs"]}, "shop": {"APPS": ["shop", "jobs"]}}}, {"jobs.E012"}),
    ],
)
def test_jobs_lie_in_no_schema_of_a_tenant(settings: Any, tenants: dict[str, Any], expected: set[str]) -> None:
    for name, value in tenants.items():
        setattr(settings, name, value)
    assert ids(checks.check_tenants()) == expected


class ReadsElsewhere(Router):
    """Reads from a replica, perhaps, which `enqueue()` has not reached yet."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "default"


class LeadsJobsAlone:
    """The accounts stay in `default`; their tables in `archive` are empty, and a job refers to nobody in them."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "archive" if model._meta.app_label == "jobs" else None

    db_for_write = db_for_read


class MigratesJobsAlone(LeadsJobsAlone):
    """There is no table of accounts in `archive` at all, and so none of jobs can be made."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "archive") == (app_label == "jobs")


def test_a_wrong_setting_of_ours(settings: Any) -> None:
    settings.JOBS_DISPATCH_WINDOW = "many"
    (message,) = checks.check_configuration()
    assert (message.id, "JOBS_DISPATCH_WINDOW" in message.msg) == ("jobs.E001", True)
    assert checks.check_database() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOBS_DISPATCH_WINDOW", None), ("JOBS_MAX_LOST", 0), ("JOBS_DEFAULT_TIMEOUT", 2**31), ("JOBS_SHUTDOWN_GRACE", -1),
        ("JOBS_RETRY_BACKOFF", math.nan), ("JOBS_RETRY_BACKOFF_MAX", math.inf), ("JOBS_RETENTION_DAYS", 1e12),
    ],
)  # fmt: skip
def test_a_number_of_ours_out_of_its_range(settings: Any, name: str, value: Any) -> None:
    setattr(settings, name, value)
    (message,) = checks.check_configuration()
    assert (message.id, message.msg.startswith(f"{name} must be from ")) == ("jobs.E001", True)


@pytest.mark.parametrize("name", ["JOBS_KEY_PREFIX", "JOBS_DATABASE"])
def test_a_text_of_ours_that_must_be_there(settings: Any, name: str) -> None:
    setattr(settings, name, None)
    (message,) = checks.check_configuration()
    assert (message.id, message.msg) == ("jobs.E001", f"{name} must be str, not None")
    settings.JOBS_KEY_PREFIX, settings.JOBS_DATABASE, settings.JOBS_SITE_URL = "", "default", None  # from an environment without it
    assert checks.check_configuration() == []


@pytest.mark.parametrize("value", ["clearsessions", b"token", ("one", 2), {"one": 1}, None])
@pytest.mark.parametrize("name", ["JOBS_ALLOWED_COMMANDS", "JOBS_SECRET_PATTERNS"])
def test_a_list_of_ours_that_is_none(settings: Any, name: str, value: Any) -> None:
    """A text became the list of its letters: `("token")` is no tuple."""
    setattr(settings, name, value)
    (message,) = checks.check_configuration()
    assert (message.id, message.msg) == ("jobs.E001", f'{name} must be a list of texts, as ["one", "two"], not {value!r}')
    setattr(settings, name, ["one", "two"])
    assert checks.check_configuration() == []


@pytest.mark.parametrize("value", ["jobs.example.com", "ftp://example.com/", "https://", "https://example.com/a b"])
def test_what_is_no_address_of_pages(settings: Any, value: str) -> None:
    settings.JOBS_SITE_URL = value
    (message,) = checks.check_configuration()
    assert (message.id, message.msg.startswith("JOBS_SITE_URL must be an address as https://")) == ("jobs.E001", True)
    settings.JOBS_SITE_URL = "http://example.com:8000/desk"
    assert checks.check_configuration() == []


def test_an_app_that_is_not_ours() -> None:
    ours = current_app._get_current_object()
    StockCelery("stock").set_current()
    try:
        (message,) = checks.check_celery()
        assert message.id == "jobs.E003"
        assert all(words in str(message.hint) for words in ("celery.py", "__init__.py", "from jobs import Celery", "docs/starting.md"))
    finally:
        ours.set_current()
