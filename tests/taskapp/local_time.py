"""The project's settings with USE_TZ off."""

from task_queue_project.settings import *  # noqa: F403

USE_TZ = False
