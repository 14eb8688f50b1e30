"""`seed_jobs` fills the tables, and refuses what makes no sense."""

import io

import pytest
from django.core.management import CommandError, call_command

from jobs.models import DeadLetterQueue, Job
from jobs.store import seed

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("numbers", [("0", "0"), ("5", "6"), ("5", "-1")])
def test_seeding_refuses_numbers_that_make_no_sense(numbers: tuple[str, str]) -> None:
    with pytest.raises(CommandError):
        call_command("seed_jobs", "--jobs", numbers[0], "--dead-letters", numbers[1])
    assert not Job.objects.exists()


def test_seeding_is_refused_in_use(settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG"):
        call_command("seed_jobs", "--jobs", "5", "--dead-letters", "0")
    call_command("seed_jobs", "--jobs", "500", "--dead-letters", "50", "--force", stdout=io.StringIO())
    assert Job.objects.count() == 500
    assert Job.objects.filter(status="failed", dead_letters__resolution="open", dead_letters__notify_after=None).count() == 50


def test_seeding_a_few_jobs_makes_no_more_dead_letters_than_jobs(settings) -> None:
    settings.DEBUG = True
    call_command("seed_jobs", "--jobs", "5", stdout=io.StringIO())
    assert Job.objects.filter(status="failed").count() == Job.objects.count() == 5


def test_seeded_dead_letters_are_numbered_as_they_failed(settings, monkeypatch) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(seed, "_DAYS", 0.001)  # so close together that some end before older ones
    call_command("seed_jobs", "--jobs", "200", "--dead-letters", "200", stdout=io.StringIO())
    newest_first = list(DeadLetterQueue.objects.order_by("-id").values_list("failed_at", flat=True))  # as the pages list them
    assert newest_first == sorted(newest_first, reverse=True)
