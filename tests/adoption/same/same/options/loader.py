"""A loader, a log and a step of the worker's own."""

import logging

from celery import bootsteps, signals
from celery.loaders.app import AppLoader
from click import Option

from ..notes import note


class Loader(AppLoader):
    """Notes what it is asked; named by CELERY_LOADER."""

    def on_worker_init(self):
        note("loader", "worker_init")
        super().on_worker_init()

    def on_worker_process_init(self):
        note("loader", "worker_process_init")

    def on_task_init(self, task_id, task):
        note(f"loader {task_id}", task.name)

    def on_process_cleanup(self):
        note("loader", "process_cleanup")


class Tenant(bootsteps.StartStopStep):
    """Takes an option of the command line."""

    def __init__(self, parent, tenant="public", **options):
        super().__init__(parent, **options)
        self.tenant = tenant

    def start(self, parent):
        note("tenant", [self.tenant, type(parent).__name__])


class Noted(logging.Handler):
    def emit(self, record):
        note(f"logged {record.name}", [record.levelname, record.getMessage()])


def add_to(app):
    """What a project writes below its app."""
    app.user_options["worker"].add(Option(("--tenant",), default="public", help="whose tasks"))
    app.steps["worker"].add(Tenant)

    @signals.setup_logging.connect(weak=False)
    def setup_logging(loglevel=None, logfile=None, format=None, colorize=None, **given):
        note("setup_logging", [loglevel, logfile, sorted(given)])
        logging.basicConfig(level=logging.INFO, format="own %(name)s %(message)s", force=True)
        logging.getLogger("same.options.tasks").addHandler(Noted())
