"""Runs the programs for a pool and prints what each has seen as JSON, one a line: `python -m same.running gevent [name ...]`."""

import json
import os
import re
import sys
import traceback
from datetime import date, datetime
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "same.settings")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
HOST = re.compile(r"\b(celery|gen\d+)@[\w.-]+")
PROGRAMS = {}
MODULES = {
    "gevent": "calls requests definitions inside results canvas failing_canvas shapes around the_app".split(),
    "commands": ("command_line",),
    "prefork": ("processes",),
    "options": ("options.programs",),
    "options_of_children": ("options.programs", "options.children"),
    "habits": ("habits.programs",),
    "libraries": ("libraries.programs",),
    "sentry": ("libraries.sentry",),
    "style": ("style.programs",),
    "tenants": ("tenants.programs",),
    "tracing": ("libraries.tracing",),
}


def program(function):
    """A program; what it returns is compared."""
    PROGRAMS[function.__name__] = function
    return function


def clean(value):
    """What two runs may differ in is taken out; what JSON does not tell apart is named."""
    if isinstance(value, str):
        return HOST.sub("<host>", UUID.sub("<id>", value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {clean(key) if isinstance(key, str) else f"{type(key).__name__} {key!r}": clean(part) for key, part in value.items()}
    if isinstance(value, list):
        return [clean(part) for part in value]
    if isinstance(value, tuple | set | frozenset):
        return [f"<{type(value).__name__}>", *(clean(part) for part in (value if isinstance(value, tuple) else sorted(value, key=str)))]
    if isinstance(value, datetime | date):
        return f"<{type(value).__name__}>"
    return clean(f"<{type(value).__name__}> {value!r}")


def of(call, *args, **kwargs):
    """What a call returns, or what it raises."""
    try:
        return call(*args, **kwargs)
    except BaseException as error:
        return told(error)


def told(error):
    """An exception, as the one who catches it sees it."""
    if error is None:
        return None
    cause = error.__cause__
    return {
        "class": [c.__name__ for c in type(error).__mro__[:-2]],
        "text": str(error),
        "args": error.args,
        "cause": cause and repr(cause)[:200],
    }


def main(pool, *names):
    django.setup()
    import same.celery

    same.celery.app.loader.import_default_modules()
    for module in MODULES[pool]:
        import_module(f"same.{module}")
    for name, function in PROGRAMS.items():
        if not names or name in names:
            try:
                found = clean(function())
            except BaseException as error:
                found = clean({"raised": told(error), "where": traceback.format_exc()[-1500:] if os.environ.get("SAME_TRACE") else ""})
            print(json.dumps({name: found}, sort_keys=True, default=repr), flush=True)


if __name__ == "__main__":
    from same import running  # one module, not two

    running.main(*sys.argv[1:])
