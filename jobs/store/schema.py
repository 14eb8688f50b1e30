"""Whether the database has the tables that this version of the code needs."""

from collections.abc import Callable

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from jobs.conf import configuration
from jobs.domain.complaint import first_line


def is_migrated() -> bool:
    """Whether every migration of jobs is applied. Raises django.db.DatabaseError when PostgreSQL is away."""
    connection = connections[configuration().database]
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes("jobs"))
    finally:
        connection.close()


def wait_until_migrated(say: Callable[[str], None], pause: Callable[[], bool]) -> bool:
    """True once every migration is applied. What is waited for is said once; `pause` waits a moment, True from it ends the wait."""
    told = ""
    while True:
        try:
            if is_migrated():
                return True
            reason = "waiting for the migrations: run python manage.py migrate"
        except DatabaseError as error:
            reason = "waiting for PostgreSQL: " + first_line(error)
        if reason != told:
            say(reason)
        told = reason
        if pause():
            return False
