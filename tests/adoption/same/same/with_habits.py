"""The same with settings that are common, for programs as they stand in tutorials, answers and blogs."""

import re

from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS += ["same.habits"]
CELERY_TASK_ROUTES = (
    [
        ("same.habits.tasks.to_*", {"queue": "routed"}),
        (re.compile(r"same\.habits\.tasks\.(video|image)_.*"), {"queue": "routed", "priority": 6}),
    ],
    {"same.habits.tasks.by_text": "routed"},
    "same.habits.routing.Router",
)
CELERY_TASK_ANNOTATIONS = {"same.habits.tasks.annotated": {"rate_limit": "50/s", "tag": "from settings"}, "*": {"everywhere": True}}
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_SOFT_TIME_LIMIT = 40
CELERY_TASK_TIME_LIMIT = 50
CELERY_TASK_DEFAULT_PRIORITY = 4
CELERY_TASK_ALLOW_ERROR_CB_ON_CHORD_HEADER = True
CELERY_BEAT_SCHEDULE = {"nightly": {"task": "same.habits.tasks.video_cut", "schedule": 3600.0, "options": {"expires": 30}}}
