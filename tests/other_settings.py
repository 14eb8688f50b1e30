"""The project's settings with some of a test's own, given as JSON in the variable OTHER_SETTINGS."""

import json
import os

from task_queue_project.settings import *  # noqa: F403

globals().update(json.loads(os.environ["OTHER_SETTINGS"]))
