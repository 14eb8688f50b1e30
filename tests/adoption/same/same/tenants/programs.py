"""Each run is its tenant's, whatever ran before in the same place."""

from celery import chain, chord, current_app, group
from django_tenants.utils import schema_context

from ..running import of, program
from . import tasks
from .models import Client

T = 60
app = current_app


def tenants():
    for name in ("acme", "bolt"):
        Client.objects.get_or_create(schema_name=name)
        yield name
    yield "public"


@program
def tenants_of_calls():
    found, sent = {}, {}
    for name in tenants():
        with schema_context(name):
            sent[name] = [tasks.whose.delay(), tasks.whose.delay(True), app.send_task("same.tenants.tasks.whose"), tasks.fails.delay()]
            sent[name] += [tasks.whose.apply_async(countdown=0.2) for _ in range(5)]
    for name, results in sent.items():
        found[name] = [of(result.get, T) for result in results]
    return found


@program
def tenants_of_workflows():
    found = {}
    for name in tenants():
        with schema_context(name):
            results = [
                chain(tasks.chained.s(1), tasks.chained.s()).delay(),
                group(tasks.chained.s(n) for n in range(3)).delay(),
                chord([tasks.chained.s(n) for n in range(3)], tasks.chained.s()).delay(),
                tasks.asks_another.delay(),
            ]
        values = [result.get(T) for result in results]
        found[name] = [*values[:3], app.AsyncResult(values[3]).get(T)]
    return found
