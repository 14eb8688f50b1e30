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
LENGTH = 100_000  # characters; what grows with their square takes minutes to hours


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
        "token='a\\", "authorization: a ", "a", "token=(", "token=(\n", "token=(\n'", "token=a(", "token=<", "(", "[\\'", "'\\\n",
        "--token ", "--token '",
        "'--token', ", "https://", "https://a@", "token='''", "('token", "('token',", "authorization: a\n", 'authorization: a =\\"',
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
    text = "token" * 50_000
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
        ("mysql --db-password a --user b", "mysql --db-password *** --user b"), ("--token --user x", "--token --user x"),
        ("['pg', '--password', 'a b', 'x']", "['pg', '--password', ***, 'x']"), ('["--token", "a"]', '["--token", ***]'),
        ("usage: [--token TOKEN] [--x X]", "usage: [--token ***] [--x X]"), ("a secret-- x", "a secret-- x"),
        ("https://ghp_1@git.example/x?a=b@c", "https://***@git.example/x?a=b@c"), ("ssh://git@h.example", "ssh://git@h.example"),
        ("http://h.example?mail=a@b", "http://h.example?mail=a@b"),
        ("?a_token=1&token2=2&x=3", "?a_token=***&token2=***&x=3"), ("tokenised, secretly", "tokenised, secretly"),
    ],
)  # fmt: skip
def test_a_value_is_hidden_and_the_rest_is_not(text: str, shown: str) -> None:
    assert masked_text(text, PATTERNS) == shown


S = "HUNTER2"  # the secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"headers={{'Authorization': b'{S}', 'x': 1}}", "headers={'Authorization': ***, 'x': 1}"),
        (f"password=u'{S}' x", "password=*** x"), (f"token=rb'{S}' x", "token=*** x"), (f"token=('{S}', 1), user=x", "token=***, user=x"),
        (f"tokens: ['{S}', '{S}'] x", "tokens: *** x"),
        (f"password={{'old': {{'v': '{S}'}}}}, x=1", "password=***, x=1"), (f"(token=Token('{S})', [1]), x=1)", "(token=***, x=1)"),
        (f"token=<Token '{S}'> x", "token=*** x"), (f'"secret": {{\n  "v": "{S}"\n}}\nE: x', '"secret": ***\nE: x'),
        (f"token=('{S}',\nx=1", "token=***\nx=1"), (f'password = """a\n"{S}""" x', "password = *** x"),
        (f"password='''a\n'{S}''' x", "password=*** x"), (f"password='a\\\n{S}' x", "password=*** x"),
        (f"Authorization: Negotiate {S}\nx", "Authorization: ***\nx"), (f"'Authorization: ApiKey {S}' x", "'Authorization: ***' x"),
        (f"Authorization: AWS4-HMAC-SHA256 Credential={S}/1, Signature={S}", "Authorization: ***"),
        (f'Authorization: Digest username="{S}", response="{S}"\nx', "Authorization: ***\nx"),
        (f'curl -H "Authorization: Bearer {S}" https://h', 'curl -H "Authorization: ***" https://h'),
        (f"token: bearer '{S}' x", "token: *** x"),
        (f"postgres://u:p@{S}@host/db", "postgres://u:***@host/db"), (f"redis://u:{S}@a,redis://u:a@{S}@b", "redis://u:***@a,redis://u:***@b"),
        (f"[('Authorization', 'Basic {S}'), ('x', 'y')]", "[('Authorization', ***), ('x', 'y')]"),
        (f"[(b'x-api-key', b'{S}')]", "[(b'x-api-key', ***)]"),
        ("needs ['token', 'name'] (token, name)", "needs ['token', 'name'] (token, name)"),
        (f"api-key: {S} x", "api-key: *** x"), (f"x-api-key={S}&y=1", "x-api-key=***&y=1"), (f"API_KEY == '{S}'", "API_KEY == ***"),
        (rf'{{\\\"token\\\": \\\"{S}\\\", 1}}', r'{\\\"token\\\": ***, 1}'), (rf'\"token\": \"a\\\"{S}\", x', r'\"token\": ***, x'),
    ],
)  # fmt: skip
def test_values_are_hidden_as_they_are_written(text: str, shown: str) -> None:
    assert masked_text(text, PATTERNS) == shown


def test_a_hyphen_and_an_underscore_are_alike_in_names() -> None:
    assert masking.named({"X-Api-Key": "x", "api-key": "y", "key": "z"}) == {"X-Api-Key": "***", "api-key": "***", "key": "z"}


def test_a_bracket_that_never_closes_hides_its_line_and_one_that_is_cut_off_the_rest() -> None:
    assert masked_start('token: {\n"a": "HUNTER2"' + " " * 1_000, PATTERNS, 30) == "token: ***"
    assert masked_text("token=(\nx" * 20, PATTERNS) == "token=***\nx" * 20


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
