"""What is hidden of texts, and that no text takes longer than its length says."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from jobs import masking
from jobs.conf import Configuration
from jobs.domain.secrets import masked, masked_start, masked_text

PATTERNS = Configuration().secret_patterns
LENGTH = 250_000  # characters; what grows with their square takes minutes to hours


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """An error after so long, also out of a search of `re`."""

    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "part",
    [
        "token", "token-", "secret.", "token ", "token\\", "token=", "token='", "token: bearer ", "://", "://:", "://a:b@", "token=\\\"",
        "token='a\\", "authorization: a ", "a",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "around", [("", ""), ("token=", ""), ("://a:", ""), ('token=\\"', " token")], ids=["alone", "value", "address", "quoted"]
)
def test_a_long_text_is_masked_at_once(part: str, around: tuple[str, str]) -> None:
    text = around[0] + part * (LENGTH // len(part)) + around[1]
    with limit(20):
        masked_text(text, PATTERNS)
        masked_text(text, [*PATTERNS, "client secret", "a/b"])


def test_long_arguments_and_errors_are_masked_at_once() -> None:
    text = "token" * (LENGTH // 5)
    with limit(20):
        assert masking.named({"comment": text, "list": [text]}) == {"comment": text, "list": [text]}
        assert masking.positional("nobody.knows", [text]) == [text]
        assert masking.text(text) == text
        assert masking.start(text, 500) == text[:500]
        assert masked({text: 1}, PATTERNS) == {text: "***"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("my.db_PASSWORD-x => 'q'", "my.db_PASSWORD-x => ***"), ('{\\"password\\": \\"a\\"}', '{\\"password\\": ***}'),
        ("a-token-b: c", "a-token-b: ***"), ("secret token=x", "secret token=***"), ("x=token=y", "x=token=***"),
        ("tokens = 5; secret\n:\n z", "tokens = ***; secret\n:\n ***"), ("token=, x", "token=, x"), ("token: bearer", "token: ***"),
        ("?a_token=1&token2=2&x=3", "?a_token=***&token2=***&x=3"), ("tokenised, secretly", "tokenised, secretly"),
    ],
)  # fmt: skip
def test_a_value_is_hidden_and_the_rest_is_not(text: str, shown: str) -> None:
    assert masked_text(text, PATTERNS) == shown


@pytest.mark.parametrize("text", ["client secret: x", "my client secret-2 = x", "a/b: x", "x.a/b=x", "//a/bc:x", "B\u0130G.a/b=x"])
def test_patterns_that_are_no_words_are_found_too(text: str) -> None:
    assert masked_text(text, ["client secret", "a/b", "token"]).endswith("***")


@pytest.mark.parametrize("secret", ["password='{}'", "://jobs:{}@db", "token: {}"])
def test_the_start_of_a_text_shows_no_half_of_a_secret(secret: str) -> None:
    """Wherever the text is cut before it is masked."""
    for before in range(30):
        text = "-" * before + secret.format("HUNTER" * 40) + " the rest" * 20
        assert "HUNTER" not in masked_start(text, PATTERNS, 3)
    assert masked_start("token=a b c", PATTERNS, 9) == "token=***"
