"""System checks: settings that would break a promise, or that have no effect any more, each with its remedy."""

from collections.abc import Iterator
from typing import Any

from celery import current_app
from celery.app.defaults import DEFAULTS
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.db.utils import load_backend
from django.utils.translation import gettext as _

from jobs.conf import configuration, notice_recipients
from jobs.models import Job
from jobs.store import broker


@register()
def check_configuration(**_: Any) -> list[CheckMessage]:
    """Each JOBS_* setting has the right type and range."""
    try:
        configuration()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="jobs.E001")]
    return []


@register(Tags.security, deploy=True)
def check_notices(**__: Any) -> list[CheckMessage]:
    """Where people rely on it, somebody hears of a job that failed for good."""
    if notice_recipients():
        return []
    return [
        Warning(
            _("ADMIN_EMAILS is empty: nobody is notified when a job fails for good."),
            hint=_("Add addresses to it, and set EMAIL_HOST to a mail server."),
            id="jobs.W006",
        )
    ]


@register()
def check_database(**__: Any) -> list[CheckMessage]:
    """Jobs live in PostgreSQL, and connections that are kept are looked at before use."""
    try:
        alias = configuration().database
    except ImproperlyConfigured:
        return []  # check_configuration tells
    return list(_database(alias, settings.DATABASES.get(alias, {})))


def _database(alias: str, database: dict[str, Any]) -> Iterator[CheckMessage]:
    if trouble := _no_postgresql(alias, database.get("ENGINE", "")):
        yield Error(
            trouble,
            hint=_(
                "Name a PostgreSQL database of DATABASES in JOBS_DATABASE, and have a router in DATABASE_ROUTERS send the models of "
                "“jobs” there."
            ),
            id="jobs.E002",
        )
        return
    yield from _routes(alias)
    if database.get("CONN_MAX_AGE", 0) != 0 and not database.get("CONN_HEALTH_CHECKS"):
        yield Warning(
            _(
                "Connections are kept open (CONN_MAX_AGE) and not checked before use: after PostgreSQL restarts, requests fail, and so "
                "do calls of .delay() in a transaction."
            ),
            hint=_("Set CONN_HEALTH_CHECKS to True along with CONN_MAX_AGE."),
            id="jobs.W001",
        )
    pool = (database.get("OPTIONS") or {}).get("pool")
    most = (pool.get("max_size") or pool.get("min_size", 4)) if isinstance(pool, dict) else 4 if pool else None
    slots = _slots()
    if most is not None and most < slots:
        yield Warning(
            _("The pool of %(most)d connections is smaller than the %(slots)d slots of a worker: jobs would wait for each other.")
            % {"most": most, "slots": slots},
            hint=_("Set OPTIONS[“pool”][“max_size”] to %(slots)d or more.") % {"slots": slots},
            id="jobs.W002",
        )


def _no_postgresql(alias: str, engine: str) -> str:
    """What is wrong with a backend; "" for one of PostgreSQL, whatever its name is."""
    try:
        if engine and load_backend(engine).DatabaseWrapper.vendor == "postgresql":
            return ""
    except ImproperlyConfigured as error:  # there is none, or its driver is missing
        return str(error)
    return _("The database “%(alias)s” is not PostgreSQL, but jobs are rows in PostgreSQL.") % {"alias": alias}


def _routes(alias: str) -> Iterator[CheckMessage]:
    hint = _("Have a router in DATABASE_ROUTERS return “%(alias)s” for the models of “jobs”: docs/api.md.") % {"alias": alias}
    if (written := router.db_for_write(Job)) != alias:
        yield Error(
            _("The jobs are in the database “%(alias)s” (JOBS_DATABASE), but their models are written to “%(other)s”.")
            % {"alias": alias, "other": written},
            hint=hint,
            id="jobs.E010",
        )
        return
    if (read := router.db_for_read(Job)) != alias:  # a replica, perhaps
        yield Warning(
            _(
                "Pages and lists read the jobs from the database “%(other)s”, not from “%(alias)s” (JOBS_DATABASE): what they show may "
                "be out of date."
            )
            % {"alias": alias, "other": read},
            hint=hint,
            id="jobs.W009",
        )
    if (accounts := router.db_for_write(get_user_model())) != alias:
        made = router.allow_migrate_model(alias, get_user_model())  # a table of accounts nobody fills, else no table of jobs either
        yield (Warning if made else Error)(
            _("The accounts are in the database “%(other)s”, but the jobs that refer to them are in “%(alias)s” (JOBS_DATABASE).")
            % {"alias": alias, "other": accounts},
            hint=_(
                "Have the router in DATABASE_ROUTERS send the accounts there too: docs/api.md. Otherwise the pages and “created_by” "
                "fail, and so does migrate where it creates no table of accounts there."
            ),
            id="jobs.W010" if made else "jobs.E011",
        )


@register()
def check_tenants(**__: Any) -> list[CheckMessage]:
    """With a schema for each tenant (django-tenants) the jobs of all of them lie in the one that workers read."""
    public = getattr(settings, "PUBLIC_SCHEMA_NAME", "public")
    types = getattr(settings, "TENANT_TYPES", None) or {}
    of_tenants = [getattr(settings, "TENANT_APPS", ()), *(each.get("APPS", ()) for name, each in types.items() if name != public)]
    if not any(name == "jobs" or name.startswith("jobs.apps.") for apps in of_tenants for name in apps):
        return []
    return [
        Error(
            _("The app “jobs” is a tenant app: the jobs that a tenant creates go into a schema that no worker reads, and never run."),
            hint=_("List it in SHARED_APPS, not in TENANT_APPS; with TENANT_TYPES, only among the apps of the public schema."),
            id="jobs.E012",
        )
    ]


def _slots() -> int:
    return current_app.conf.worker_concurrency or 4


@register()
def check_celery(**__: Any) -> list[CheckMessage]:
    """The Celery app is ours, and its settings keep what the rows promise."""
    from jobs import Celery

    app = current_app._get_current_object()
    if not isinstance(app, Celery):
        return [
            Error(
                _("The Celery app is not one of this package, so calls of .delay() create no rows."),
                hint=_(
                    "Create the app in the project’s celery.py with “from jobs import Celery”, not “from celery import Celery”, and "
                    "import it in the project’s __init__.py. For a project without one: docs/starting.md."
                ),
                id="jobs.E003",
            )
        ]
    return list(_celery(app.conf))


def _celery(conf: Any) -> Iterator[CheckMessage]:
    addresses = (conf.broker_read_url, conf.broker_write_url)
    if any(map(broker.names_several, addresses)):
        yield Error(
            _("The broker URL names more than one Redis, or a Sentinel; the leader and all workers must use the same Redis."),
            hint=_("Name a single one in CELERY_BROKER_URL: the address of a proxy, or a name that follows the primary."),
            id="jobs.E008",
        )
    elif not all(str(address or "").startswith(broker.SCHEMES) for address in addresses):
        yield Error(
            _("The broker is not Redis, but the priority lanes are Redis lists."),
            hint=_("Set CELERY_BROKER_URL to a Redis server."),
            id="jobs.E004",
        )
    if conf.task_serializer != "json" or "json" not in _names(conf.accept_content):
        yield Error(
            _("Arguments are stored as JSON; the serializer “%(name)s” (pickle, yaml …) cannot be used.") % {"name": conf.task_serializer},
            hint=_("Set CELERY_TASK_SERIALIZER to “json” and add “json” to CELERY_ACCEPT_CONTENT."),
            id="jobs.E005",
        )
    if conf.task_always_eager:
        yield Warning(
            _("task_always_eager is on: calls run in the caller, without a row, and are lost if it dies."),
            hint=_("Turn it off outside tests."),
            id="jobs.W003",
        )
    if conf.worker_pool in ("gevent", "eventlet"):
        yield Warning(
            _("The pool is set in the settings, which are read after the modules that gevent must patch first have been loaded."),
            hint=_("Set it on the command line: celery worker -P gevent."),
            id="jobs.W004",
        )
    if conf.task_acks_late or conf.task_reject_on_worker_lost:
        yield Info(
            _("task_acks_late and task_reject_on_worker_lost have no effect: a job whose worker dies is run again from its row."),
            hint=_("Remove them."),
            id="jobs.I001",
        )
    if "visibility_timeout" in (conf.broker_transport_options or {}):
        yield Info(
            _("visibility_timeout has no effect: nothing waits in Redis until it is due, and a lost message is sent again from its row."),
            hint=_("Remove it from CELERY_BROKER_TRANSPORT_OPTIONS."),
            id="jobs.I002",
        )
    if conf.result_expires != DEFAULTS["result_expires"]:
        yield Info(
            _("result_expires has no effect: a result is kept for as long as its job."),
            hint=_("Remove it, and set JOBS_RETENTION_DAYS."),
            id="jobs.I003",
        )
    if conf.result_serializer != "json":
        yield Info(
            _("result_serializer has no effect: results are stored as JSON."),
            hint=_("Remove it; exceptions are still returned as their own class."),
            id="jobs.I004",
        )


def _names(content: Any) -> set[str]:
    return {str(name).rpartition("/")[2] for name in content or ()}
