"""Tasks that see whose they are."""

from celery import shared_task
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from ..notes import note


def _path():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schemas(false)::text")
        return cursor.fetchone()[0]


@shared_task(bind=True, max_retries=2)
def whose(self, again=False):
    if again and not self.request.retries:
        raise self.retry(countdown=0.1)
    ContentType.objects.create(app_label="made", model=self.request.id[-90:])
    return [connection.schema_name, _path(), ContentType.objects.filter(app_label="made", model=self.request.id[-90:]).count()]


@shared_task
def asks_another():
    whose.delay().forget()
    note(f"asked {connection.schema_name}", _path())
    return chained.delay(1).id


@shared_task
def chained(value):
    return f"{value} {connection.schema_name}"


@shared_task
def fails():
    raise ValueError(connection.schema_name)
