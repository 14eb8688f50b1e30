"""Times as the pages say them."""

from datetime import UTC, datetime

from django.utils import timezone, translation

from jobs.web.times import clock_time


def test_a_time_has_its_date_unless_that_is_today_and_its_year_unless_it_is_this_one() -> None:
    now = datetime.now(UTC)
    other = datetime(now.year, 7 if now.month == 6 else 6, 15, 10, 30, tzinfo=UTC)
    month = f"{other:%b}"
    with timezone.override("UTC"):
        with translation.override("en"):
            assert clock_time(now, seconds=True) == f"{now:%H:%M:%S}"
            assert clock_time(other) == f"15 {month} 10:30"
            for years in (-1, 2):
                there = other.replace(year=now.year + years)
                assert clock_time(there, seconds=True) == f"15 {month} {there.year} 10:30:00"
        with translation.override("ar"):
            assert clock_time(datetime(2020, 2, 29, 10, tzinfo=UTC)) == "29 فبراير 2020 10:00"
