"""What a notice says, in the language of the installation."""

from typing import Any

from jobs.leader.notices import _mail


def test_names_in_an_arabic_mail_stand_apart_and_have_its_comma(settings: Any) -> None:
    settings.LANGUAGE_CODE = "ar"
    latest = ("shop.tasks.send", "ValueError", "no (such) file", 1, 0, "", "sara", None)
    lines = _mail(2, [(7, "Order 5 (EU)", "celery"), (8, "", "reports")], latest, ["a@b.c"], "").body.splitlines()
    for line in (
        "المهام: 7 (\u2068Order 5 (EU)\u2069)، 8", "قائمة الانتظار: \u2068celery، reports\u2069",
        "الخطأ: \u2068ValueError: no (such) file\u2069", "المسؤول: \u2068sara\u2069",
    ):  # fmt: skip
        assert line in lines


def test_an_english_mail_has_no_signs_that_nobody_sees(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    latest = ("shop.tasks.send", "ValueError", "no file", 1, 0, "", "", None)
    lines = _mail(2, [(7, "Order 5", "celery"), (8, "", "reports")], latest, ["a@b.c"], "").body.splitlines()
    assert lines[1:3] == ["Jobs: 7 (Order 5), 8", "Queue: celery, reports"]
