"""The WSGI application that gunicorn serves."""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")
try:
    application = get_wsgi_application()
except SystemExit as error:  # settings that cannot be read
    print(error.code, file=sys.stderr, flush=True)
    sys.exit(3)  # gunicorn ends at this one; at any other it would start workers for ever
