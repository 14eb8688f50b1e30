"""System checks that ask the database itself, as `migrate` and `check --database` do."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import AutoField
from django.utils.translation import gettext as _

from jobs.conf import configuration
from jobs.models import Job
from jobs.store import numbering, pooler


def _asked(databases: Sequence[str] | None) -> str | None:
    """The database of the jobs, where it is among those that are to be asked; None also where other checks have to tell of it."""
    try:
        alias = configuration().database
    except ImproperlyConfigured:
        return None
    return alias if alias in (databases or ()) and connections[alias].vendor == "postgresql" else None


@register(Tags.database)
def check_pooler(databases: Sequence[str] | None = None, **__: Any) -> list[CheckMessage]:
    """Locks, LISTEN and prepared statements need a session of PostgreSQL's own: a pooler gives each transaction another one."""
    alias = _asked(databases)
    if alias is None or configuration().database_direct_url:
        return []
    with connections[alias].cursor() as cursor:
        if not pooler.is_between(connections[alias].connection, cursor):
            return []
    return [
        Error(
            _("A pooler (PgBouncer) answers at the address of the database “%(alias)s”, and no address that bypasses it is set.")
            % {"alias": alias},
            hint=pooler.remedy(),
            id=pooler.CHECK,
        )
    ]


@register(Tags.database)
def check_server(databases: Sequence[str] | None = None, **__: Any) -> list[CheckMessage]:
    """Errors, names and progress are texts of any language, and verbs wait for who changes the same row."""
    alias = _asked(databases)
    if alias is None:
        return []
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_setting('server_encoding'), current_setting('default_transaction_isolation')")
        return list(_server(alias, *cursor.fetchone()))


def _server(alias: str, encoding: str, isolation: str) -> Iterator[CheckMessage]:
    if encoding != "UTF8":  # another cannot hold the texts, or does not know their letters
        yield Error(
            _("The encoding of the database “%(alias)s” is %(encoding)s, which cannot store text in every language.")
            % {"alias": alias, "encoding": encoding},
            hint=_(
                "Create one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move the tables there (pg_dump, pg_restore)."
            ),
            id="jobs.E009",
        )
    if isolation != "read committed":  # the engine sets it for its own sessions
        yield Warning(
            _("Transactions of the database “%(alias)s” run at %(isolation)s: an action on a job that changes at the same moment fails.")
            % {"alias": alias, "isolation": isolation},
            hint=_(
                "Set OPTIONS[“isolation_level”] to READ COMMITTED, or ALTER ROLE … SET default_transaction_isolation = 'read committed'."
            ),
            id="jobs.W005",
        )


@register(Tags.database)
def check_numbers(databases: Sequence[str] | None = None, **__: Any) -> list[CheckMessage]:
    """Sequences give numbers that no row has yet, to whoever may insert."""
    alias = _asked(databases)
    if alias is None:
        return []
    with connections[alias].cursor() as cursor:
        return list(_numbers(cursor))


def _numbers(cursor: Any) -> Iterator[CheckMessage]:
    tables = [model._meta.db_table for model in apps.get_app_config("jobs").get_models() if isinstance(model._meta.pk, AutoField)]
    for table, sequence in numbering.sequences(cursor, tables).items():
        if table == Job._meta.db_table and not numbering.may_take(cursor, sequence):
            yield Warning(
                _("The database role may not use the sequence %(sequence)s: enqueue_many() and enqueue --count fail.")
                % {"sequence": sequence},
                hint=_("Have the owner of the tables run GRANT USAGE ON SEQUENCE %(sequence)s TO that role.") % {"sequence": sequence},
                id="jobs.W011",
            )
        if (highest := numbering.is_above(cursor, table, sequence)) is not None:  # restored without it, or replicated logically
            yield Warning(
                _("The sequence %(sequence)s is behind %(number)s, which a row of %(table)s already has: inserts will collide.")
                % {"sequence": sequence, "number": highest, "table": table},
                hint=_("Run python manage.py sqlsequencereset jobs | python manage.py dbshell."),
                id="jobs.W012",
            )
