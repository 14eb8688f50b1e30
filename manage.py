#!/usr/bin/env python
"""The project's command line."""

import os
import sys


def main(argv: list[str]) -> None:
    """Run one management command; a server that does not answer is one line, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            "Django is not installed for this Python. After `make up`: . .venv/bin/activate (Windows: .venv\\Scripts\\activate); "
            "else: pip install -r requirements.txt (in a virtual environment)."
        )
    if len(argv) > 1:
        argv[1] = argv[1].removesuffix(".py")  # the README writes `manage.py test_dead_letter_queue.py`
    try:
        if argv[1:2] in (["runserver"], ["dispatch"]) and not {"-h", "--help"} & set(argv):
            require_servers()  # the one would show a traceback and wait, the other try again for ever
        execute_from_command_line(argv)
    except (Exception, SystemExit) as error:  # every way in which a server can be missing; commands of jobs end with its error as the cause
        from jobs.management.base import is_connection_error

        if is_connection_error(error) or is_connection_error(error.__cause__):
            require_servers()
        raise


def require_servers() -> None:
    """End with one line when PostgreSQL or Redis does not answer."""
    from django.conf import settings

    from task_queue_project import servers

    try:
        servers.require(settings.SERVERS)
    except servers.Unreachable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv)
