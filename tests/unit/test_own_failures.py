"""What we say ourselves of a failure is stored in English and read in the reader's language."""

import re

import pytest
from django.utils import translation

from jobs.domain import errors, own_failures

SENTENCES = [text for name, text in vars(own_failures).items() if name.isupper() and not name.startswith("_")]
VALUES = {
    "task": "'shop.pay'", "state": "FAILURE", "error": "line 1:\nno (comma)", "name": "sara",
    "number": "1", "failures": "2", "methods": "GET, HEAD", "address": "no@", "status": "404", "body": "gone:\nno", "code": "3",
    "seconds": "2", "length": "200,000,000", "most": "100,000,000", "id": "1-2",
}  # fmt: skip


def stored(sentence: str) -> str:
    return sentence % {name: VALUES[name] for name in re.findall(r"%\((\w+)\)s", sentence)}


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("prefix", ["", "SomeError: "])
def test_each_is_said_in_both_languages(sentence: str, prefix: str) -> None:
    text = prefix + stored(sentence)
    shown = {}
    for language in ("en", "ar"):
        with translation.override(language):
            shown[language] = re.sub("[\u2068\u2069]", "", own_failures.said(text))
    assert shown["en"] == text
    assert shown["ar"].startswith(prefix)
    assert re.search("[\u0621-\u064a]{3}", shown["ar"])
    assert all(VALUES[name] in shown["ar"] for name in re.findall(r"%\((\w+)\)s", sentence))


@pytest.mark.parametrize(
    "text", ["", "boom", "ValueError: boom", "The worker died", "The worker was stopped. Or not", "%(task)s", "No worker knows the task"]
)
def test_what_is_not_ours_stays(text: str) -> None:
    with translation.override("ar"):
        assert own_failures.said(text) == text


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.JobError)])
def test_what_an_error_says_without_a_text_of_its_own_is_ours(kind: type[Exception]) -> None:
    with translation.override("ar"):
        assert own_failures.said(str(kind())) != str(kind())


def test_what_stands_within_a_sentence_is_said_too() -> None:
    with translation.override("ar"):
        died = own_failures.said(own_failures.WORKER_DIED)
        late = own_failures.said(f"WorkerLost: {own_failures.WORKER_DIED} (Its outcome arrived later and was refused.)")
    assert late == f"WorkerLost: \u2068\u2068{died}\u2069 (وصلت نتيجتها لاحقًا ورُفضت.)\u2069"


def test_a_text_that_goes_down_for_ever_is_read_to_some_depth_only() -> None:
    text = own_failures.NOT_JOINED % {"error": ""} * 1500
    plain = own_failures.said(text).replace("\u2068", "").replace("\u2069", "")
    assert plain.endswith(text[-10_000:])
