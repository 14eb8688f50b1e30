"""Empties the test database after a test that commits: what Django's flush leaves, in a fraction of its time (a thousand tests need it)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

# A flush empties these too and makes the same rows anew, one app after the other.
MADE_BY_MIGRATE = ("auth_group", "auth_group_permissions", "auth_permission", "django_content_type")
NEVER_DELETED = "jobs_audit"  # a trigger says
# Blocks on the disk, not rows: what was rolled back leaves some, and they change plans.
WRITTEN = "SELECT oid::regclass::text FROM pg_class WHERE oid = ANY(%s::regclass[]) AND pg_relation_size(oid) > 0"
_flush = TransactionTestCase._fixture_teardown
_made: dict[str, str] = {}  # what MADE_BY_MIGRATE hold after a flush, by the name of the database
_others: dict[str, list[str]] = {}  # all other tables of models, likewise
_kept: set[str] = set()


def install() -> None:
    """Let every test that commits end so."""
    TransactionTestCase._fixture_teardown = _end_of_test  # type: ignore[method-assign]


@contextmanager
def keeping(*tables: str) -> Iterator[None]:
    """Within the block somebody works on the database through all tests, and these tables are his."""
    connection = connections[DEFAULT_DB_ALIAS]
    if _name(connection) not in _made:
        call_command("flush", verbosity=0, interactive=False)
        _look(connection)
    _kept.update(tables)
    try:
        yield
    finally:
        _kept.difference_update(tables)
        _empty(connection)
        connection.close()


def is_shared() -> bool:
    """Whether somebody does."""
    return bool(_kept)


def _end_of_test(test: Any) -> None:
    """A flush at first, and wherever a test has changed what `migrate` makes; otherwise only the tables that hold something."""
    found = [connections[alias] for alias in test._databases_names(include_mirrors=False)]
    if all(_made.get(_name(one)) == _content(one) for one in found):
        for one in found:
            _empty(one)
    else:
        _flush(test)
        for one in found:
            _look(one)


def _look(connection: BaseDatabaseWrapper) -> None:
    _made[_name(connection)] = _content(connection)
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    _others[_name(connection)] = [connection.ops.quote_name(name) for name in names if name not in MADE_BY_MIGRATE]


def _empty(connection: BaseDatabaseWrapper) -> None:
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(WRITTEN, [[name for name in _others[_name(connection)] if name.strip('"') not in _kept]])
        written = [name for (name,) in cursor.fetchall()]
        if _kept:  # a TRUNCATE of several and what he does may wait for one another
            for name in sorted(written, key=NEVER_DELETED.__ne__):
                cursor.execute(f"TRUNCATE {name}" if name == NEVER_DELETED else f"DELETE FROM {name}")
        elif written:
            cursor.execute(f"TRUNCATE {', '.join(written)} CASCADE")


def _content(connection: BaseDatabaseWrapper) -> str:
    rows = " UNION ALL ".join(f"SELECT '{name}' || t::text AS text FROM {name} AS t" for name in MADE_BY_MIGRATE)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT coalesce(md5(string_agg(text, '' ORDER BY text)), '') FROM ({rows}) AS found")
        (content,) = cursor.fetchone()
    return str(content)


def _name(connection: BaseDatabaseWrapper) -> str:
    return str(connection.settings_dict["NAME"])
