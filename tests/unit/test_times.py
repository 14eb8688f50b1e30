"""Times as the pages say them."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone, translation

from jobs.web.times import clock, clock_time, short, span


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


@pytest.mark.parametrize(
    ("days", "hours", "english", "arabic"),
    [
        (1, 0, "1 d", "يوم"), (2, 6, "2 d and 6 h", "يومين و6 س"), (7, 0, "7 d", "7 أيام"), (30, 0, "30 d", "30 يومًا"),
        (100, 1, "100 d and 1 h", "100 يوم و1 س"),
    ],
)  # fmt: skip
def test_days_are_a_word_in_arabic_where_no_letter_stands_for_them(days: int, hours: int, english: str, arabic: str) -> None:
    for language, said in (("en", english), ("ar", arabic)):
        with translation.override(language):
            assert span(days * 86_400 + hours * 3_600) == said


def test_a_short_time_breaks_over_no_two_lines() -> None:
    for language, times in (
        ("en", {4: "4 s", 125: "2 min 5 s", 74_520: "20 h 42 min", 194_400: "2 d 6 h"}),
        ("ar", {0: "أقل من ثانية", 125: "2 د و5 ث", 194_400: "يومين و6 س"}),
    ):
        with translation.override(language):
            for seconds, said in times.items():
                assert short(seconds) == said.replace(" ", "\u00a0")
            assert clock(194_400) == short(194_400)
