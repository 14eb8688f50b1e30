"""What has to be true before the parts start: tables, static files, somebody who can log in. Run as a program of its own."""

import os
import secrets
import sys
from pathlib import Path


def main() -> None:
    """Migrate, collect the static files and make the first superuser; lines for people go to standard output."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "task_queue_project.settings")
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    if not settings.DEBUG:
        call_command("collectstatic", interactive=False, verbosity=0)
    if line := make_superuser(Path(settings.DATA_DIR)):
        print(line, flush=True)


def make_superuser(data_dir: Path) -> str:
    """Make the first superuser when there is none; returns the line that tells how to log in, or ""."""
    from django.contrib.auth import get_user_model
    from django.utils.translation import gettext as _

    users = get_user_model()._default_manager
    if users.filter(is_superuser=True).exists():
        return ""
    name = os.environ.get("DJANGO_SUPERUSER_USERNAME") or "admin"
    given = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
    password = given or secrets.token_urlsafe(9)
    users.create_superuser(name, os.environ.get("DJANGO_SUPERUSER_EMAIL") or "", password)
    if given:
        return _("log in as %(name)s with the password of DJANGO_SUPERUSER_PASSWORD") % {"name": name}
    path = data_dir / "admin-password.txt"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"{password}\n", "ascii")
    words = {"name": name, "password": password, "path": path}
    return _("log in as %(name)s with the password %(password)s (kept in %(path)s)") % words


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    main()
