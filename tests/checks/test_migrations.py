"""The migrations say what the models say, and `manage.py check` has nothing to complain about."""

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check_changes=True, dry_run=True, stdout=StringIO())


@pytest.mark.django_db
def test_the_system_check_is_silent() -> None:
    call_command("check", fail_level="WARNING", databases=["default"], stdout=StringIO(), stderr=StringIO())
