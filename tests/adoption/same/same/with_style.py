"""The same with settings as large projects have them: queues of several exchanges, local time, results in django-celery-results."""

from kombu import Exchange, Queue

from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS += ["same.style"]
TIME_ZONE = CELERY_TIMEZONE = "Asia/Riyadh"
CELERY_ENABLE_UTC = False
CELERY_TASK_ROUTES = ["same.style.routing.route", {"same.style.tasks.by_topic": {"exchange": "topics", "routing_key": "mail.sent"}}]
CELERY_TASK_QUEUES = [
    Queue("celery", Exchange("celery"), routing_key="celery"),
    Queue("routed", Exchange("media", type="direct"), routing_key="media.video", queue_arguments={"x-max-priority": 10}),
    Queue("mails", Exchange("topics", type="topic"), routing_key="mail.#"),
]
CELERY_TASK_INHERIT_PARENT_PRIORITY = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = True
CELERY_TASK_REMOTE_TRACEBACKS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
