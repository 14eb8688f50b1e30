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
        "<token>", "<token x", "<token>\n", ":token ", "<token></x>", "%22token%22%3A", "token%3D", "token: |\n a\n", "token:\n - a\n",
        "Key (",
        "Key (token)=(", "Key (a token", "cookie: a; ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----'", "-----BEGIN ",
        "eyJabcdefgh.", "eyJa-",
        "bearer a1", "bearer ", "?sig=", "://a:b/", "://a:/", "&quot;token&quot;:&quot;", "password=“", "password='a''", "max_",
        "TokenError", "is_token_",
        "token_count", "jdbc:oracle:x:", "\\u0022token\\u0022:\\u0022", "https://hooks.slack.com/services/", "pbkdf2_sha256$",
        "كلمة المرور: ", "[['token', '",
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
        (f"postgres://u:p@{S}@host/db", "postgres://u:***@host/db"),
        (f"redis://u:{S}@a,redis://u:a@{S}@b", "redis://u:***@a,redis://u:***@b"),
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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"<password>{S}</password> x", "<password>***</password> x"),
        (f'<a:token type="x">{S}</a:token>', '<a:token type="x">***</a:token>'),
        (f"<token><v>{S}</v><v>{S}</v></token> x", "<token>***</token> x"),
        (f"&lt;token&gt;{S} b&lt;/token&gt; x", "&lt;token&gt;***&lt;/token&gt; x"),
        ("usage: --x <token> y", "usage: --x <token> y"), ("<token/> x", "<token/> x"),
        (f"?next=%2Fa%3Ftoken%3D{S}%21%26b%3D1&x=1", "?next=%2Fa%3Ftoken%3D***%26b%3D1&x=1"),
        (f"password%253d{S}%2526b", "password%253d***%2526b"),
        (f"%22password%22%3A%20%22{S}%20b%22%2C1", "%22password%22%3A%20***%2C1"),
        (f"&quot;token&quot;: &quot;{S} b&quot; x", "&quot;token&quot;: *** x"),
        (f"&#x27;token&#x27;: &#x27;{S}&#x27; x", "&#x27;token&#x27;: *** x"),
        (rf"\u0022token\u0022: \u0022{S}\u0022 x", r"\u0022token\u0022: *** x"),
        (f"password: |\n  {S}\n\n  {S}\nx: 1", "password: ***\nx: 1"), (f"  password: >-\n    {S}\n  x: 1", "  password: ***\n  x: 1"),
        (f"tokens:\n  - {S}\n  - {S} b\nx: 1", "tokens:\n  ***\nx: 1"),
        (f"Cookie: a={S}; b=\"{S}\"\nx", "Cookie: ***\nx"), (f"'Set-Cookie: a={S}; Path=/' x", "'Set-Cookie: ***' x"),
        (f"{{'Cookie': 'a={S}; b={S}'}}", "{'Cookie': ***}"), (f"sessionid={S} x", "sessionid=*** x"),
        (f"password=“{S} b” x", "password=*** x"), (f"password=«{S} b» x", "password=*** x"),
        (f"password='it''s {S}' x", "password=*** x"),
        (f"password=$'{S} b' x", "password=*** x"), (f"password：{S} x", "password：*** x"),
        (f"كلمة المرور: {S} ثم", "كلمة المرور: *** ثم"), (f"كلمة السر = {S}", "كلمة السر = ***"),
        (f"الرقم السري\u200f: {S}", "الرقم السري\u200f: ***"),
        (f"Key (user, api_token)=(1, {S}) already exists.", "Key (user, api_token)=*** already exists."),
        (f"Key (lower(token::text))=({S}) x", "Key (lower(token::text))=*** x"), ("Key (email)=(a@b) x", "Key (email)=(a@b) x"),
        (f"Server=h;Uid=u;Pwd={S};x=1", "Server=h;Uid=u;Pwd=***;x=1"),
        (f"AccountName=n;AccountKey={S}==;x", "AccountName=n;AccountKey=***;x"),
        (f"SharedAccessKeyName=R;SharedAccessKey={S}=", "SharedAccessKeyName=R;SharedAccessKey=***"),
        (f"private_key={S} passphrase: {S}", "private_key=*** passphrase: ***"), (f"[['Authorization', 'Basic {S}'], ['token', '{S}']]",
        "[['Authorization', ***], ['token', ***]]"), (f"Authorization Basic {S}9 x", "Authorization Basic *** x"),
    ],
)  # fmt: skip
def test_values_are_hidden_as_other_languages_write_them(text: str, shown: str) -> None:
    assert masked_text(text, PATTERNS) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,E\n{S}+/=\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
        (f"'-----BEGIN PRIVATE KEY-----\\n{S}\\n-----END PRIVATE KEY-----\\n' x", "'***\\n' x"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{S}", "***"),
        ('a.startswith("-----BEGIN PRIVATE KEY-----")\nx', 'a.startswith("***")\nx'),
        ("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMII"),
        ("key AKIAIOSFODNN7EXAMPLE x", "key *** x"), ("AKIAIOSFODNN7EXAMPLES", "AKIAIOSFODNN7EXAMPLES"),
        (f"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{S}_a refused", "jwt *** refused"),
        (f"got Bearer {S}abcdefghij9 x", "got Bearer *** x"),
        ("the bearer of internationalisation", "the bearer of internationalisation"),
        ("push with ghp_abcdefghijklmnopqrstuvwxyz0123456789 x", "push with *** x"), ("xoxb-123456789012-abcdefghijkl", "***"),
        (f"https://hooks.slack.com/services/T0/B0/{S} x", "https://hooks.slack.com/services/*** x"),
        (f"https://api.telegram.org/bot123456:{S}/send", "https://api.telegram.org/bot***/send"),
        (f"https://h/x?sv=1&sig={S}&x=1", "https://h/x?sv=1&sig=***&x=1"), (f"?X-Amz-Signature={S}&x=1", "?X-Amz-Signature=***&x=1"),
        (f"pbkdf2_sha256$1000$salt${S}=, x", "***, x"), (f"jdbc:oracle:thin:u/{S}@h:1521:x", "jdbc:oracle:thin:u/***@h:1521:x"),
        (f"postgres://u:p/{S}@h/d", "postgres://u:***@h/d"), (f'"https:\\/\\/u:{S}@h\\/x"', '"https:\\/\\/u:***@h\\/x"'),
        ("http://h:8000/a@b http://[::1]:80/a@b", "http://h:8000/a@b http://[::1]:80/a@b"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_hidden_under_any_name(text: str, shown: str) -> None:
    assert masked_text(text, []) == shown


@pytest.mark.parametrize(
    "text",
    [
        "author: Sara", "token_count: 5", "tokenCount=5", "max_tokens=100", "prompt_tokens: 12", "passwordless: true", "secretary: Ann",
        "tokenizer=bpe", "password_changed_at=2020", "token_type: bearer", "is_password_set=False", "has_token: true", "secretly: x",
        "jwt.exceptions.InvalidTokenError: Signature has expired", "app.Token.DoesNotExist: Token matching query does not exist.",
        "authorization_endpoint: x", "password=None, token: null", "cookies_enabled: true", "session: 5", "keyword=x", "tokenisation: x",
    ],
)  # fmt: skip
def test_names_that_only_resemble_a_telling_one_leave_their_values_readable(text: str) -> None:
    assert masked_text(text, PATTERNS) == text
    name, _, value = text.partition(":" if ":" in text else "=")
    assert masked({name: value}, PATTERNS) == {name: value} or "None" in text


def test_a_pattern_that_is_set_hides_even_such_a_name() -> None:
    assert masked_text("token_count: 5, tokenizer=x", ["token", "token_count", "tokenizer"]) == "token_count: ***, tokenizer=***"


def test_pairs_of_a_name_and_a_value_are_hidden() -> None:
    """As JSON has headers, and the environment of a container."""
    assert masked([["Authorization", S], ["x", "y"]], PATTERNS) == [["Authorization", "***"], ["x", "y"]]
    assert masked([{"name": "DB_PASSWORD", "value": S, "x": 1}], PATTERNS) == [{"name": "DB_PASSWORD", "value": "***", "x": 1}]
    assert masked([{"Key": "api_key", "Value": S}], PATTERNS) == [{"Key": "api_key", "Value": "***"}]
    assert masked(["token", "name"], PATTERNS) == ["token", "name"]


def test_names_are_masked_like_values() -> None:
    assert masked({f"redis://:{S}@h": 1, f"?token={S}": 2}, PATTERNS) == {"redis://:***@h": 1, "?token=***": "***"}
