"""Variables with a wrong value end the program with one line that names them; the secret key is made once."""

import ast
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from task_queue_project import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("kind", "text"), [("int", "many"), ("int", "1.5"), ("float", "25s"), ("float", "many"), ("int", "9" * 5000)])
def test_a_wrong_number_names_the_variable(monkeypatch: pytest.MonkeyPatch, kind: str, text: str) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", text)
    with pytest.raises(SystemExit, match="JOBS_SOMETHING"):
        environment.read(kind, "JOBS_SOMETHING", 1)


@pytest.mark.parametrize(
    ("kind", "text"), [("int", "0"), ("int", "-1"), ("int", "11"), ("float", "1e12"), ("float", "nan"), ("float", "inf")]
)
def test_a_number_out_of_range_names_the_variable(monkeypatch: pytest.MonkeyPatch, kind: str, text: str) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", text)
    with pytest.raises(SystemExit, match=f"JOBS_SOMETHING must be from 1 to 10, not '{text}'"):
        environment.read(kind, "JOBS_SOMETHING", 1, (1, 10))


@pytest.mark.parametrize(("kind", "text", "value"), [("int", "1", 1), ("int", "10", 10), ("float", "1e1", 10.0), ("float", " 2.5", 2.5)])
def test_a_number_within_its_range(monkeypatch: pytest.MonkeyPatch, kind: str, text: str, value: float) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", text)
    assert environment.read(kind, "JOBS_SOMETHING", 1, (1, 10)) == value


def test_each_number_of_the_settings_has_a_range() -> None:
    calls = [
        node for node in ast.walk(ast.parse((ROOT / "task_queue_project" / "settings.py").read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    numbers = {
        ast.unparse(call.args[1]): len(call.args) for call in calls if call.args and ast.unparse(call.args[0]) in ("'int'", "'float'")
    }
    assert len(numbers) > 10
    assert [name for name, given in numbers.items() if given != 4] == []


@pytest.mark.parametrize(
    ("text", "is_known"), [("en", True), ("AR", True), ("en-gb", True), ("xx", False), ("en_US", False), ("en-../x", False)]
)
def test_a_language_that_there_is_not(monkeypatch: pytest.MonkeyPatch, text: str, is_known: bool) -> None:
    monkeypatch.setenv("LANGUAGE", text)
    if is_known:
        assert environment.language("LANGUAGE", "ar", ("ar", "en")) == text
    else:
        with pytest.raises(SystemExit, match="LANGUAGE must be one of ar, en, not"):
            environment.language("LANGUAGE", "ar", ("ar", "en"))


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", " ")
    assert environment.read("int", "JOBS_SOMETHING", 7) == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [("True", True), ("on", True), ("YES", True), ("1", True), ("False", False), ("off", False), ("No", False), ("0", False)],
)
def test_booleans_are_said_in_these_words(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", text)
    assert environment.read("bool", "JOBS_SOMETHING", not value) is value


@pytest.mark.parametrize("text", ["maybe", "tru", "2", "t", "\u0661", "False;"])
def test_any_other_word_is_no_boolean(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("JOBS_SOMETHING", text)
    with pytest.raises(SystemExit, match="JOBS_SOMETHING is neither True nor False"):
        environment.read("bool", "JOBS_SOMETHING", True)


@pytest.mark.parametrize("text", ["Mars/X", "Asia", "/etc/localtime", "../UTC", "الرياض"])
def test_a_time_zone_that_there_is_not(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TIME_ZONE", text)
    with pytest.raises(SystemExit, match="TIME_ZONE is not a time zone"):
        environment.time_zone("TIME_ZONE", "UTC")
    monkeypatch.setenv("TIME_ZONE", "Asia/Riyadh")
    assert environment.time_zone("TIME_ZONE", "UTC") == "Asia/Riyadh"


def test_apps_are_looked_for_and_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "newshop" / "inner").mkdir(parents=True)
    (tmp_path / "bare").mkdir()
    for name in ("newshop/__init__.py", "newshop/inner/__init__.py", "newshop/inner/apps.py"):
        (tmp_path / name).write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for app, is_there in {
        "newshop": True, "newshop.inner": True, "newshop.inner.apps.ShopConfig": True, "bare": True,
        "newshop.outer": False, "newshop.outer.Config": False, "bare.shop": False, "nosuchapp": False,
        "newshop..inner": False, "new shop": False, ".": False, "newshop.inner.apps.more": False,
    }.items():  # fmt: skip
        monkeypatch.setenv("APPS", f"tests, {app} ")
        if is_there:
            assert environment.apps("APPS") == ["tests", app]
        else:
            with pytest.raises(SystemExit, match="APPS names an app that is not on PYTHONPATH"):
                environment.apps("APPS")


@pytest.mark.parametrize("text", ["tests.taskapp,jobs", "tests.taskapp, tests.taskapp"])
def test_an_app_that_is_there_already(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("APPS", text)
    with pytest.raises(SystemExit, match="APPS names an app that is there already"):
        environment.apps("APPS", ["jobs"])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("LANGUAGE=en\r\n", "utf-8-sig"), ("LANGUAGE=en\r\n", "utf-16"), ("LANGUAGE=en\r\nNAME=\u0645\r\n", "cp1256")],
)
def test_env_as_programs_of_windows_write_it(text: str, encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENV_FILE", "env")
    monkeypatch.setattr(environment.environ.Env, "ENVIRON", {})
    (tmp_path / "env").write_bytes(text.encode(encoding))
    if encoding == "utf-8-sig":
        environment.load(tmp_path)
        assert environment.environ.Env.ENVIRON == {"LANGUAGE": "en"}
    else:
        with pytest.raises(SystemExit, match="env is not in UTF-8: save it as UTF-8"):
            environment.load(tmp_path)


@pytest.mark.parametrize("has_links", [True, False])
def test_the_secret_key_is_made_once_by_many(has_links: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    if not has_links:  # exFAT
        monkeypatch.setattr(os, "link", lambda *paths: os.open(tmp_path / "none" / "there", 0))
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: environment.secret_key(tmp_path, debug=True), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) > 50
    assert (tmp_path / "secret-key.txt").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret-key.txt"]


def test_without_debug_a_key_is_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with pytest.raises(SystemExit, match="SECRET_KEY"):
        environment.secret_key(tmp_path, debug=False)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "keys" / "key"))
    assert environment.secret_key(tmp_path, debug=False) == (tmp_path / "keys" / "key").read_text()


PRODUCTION = {
    "DEBUG": "False", "SECRET_KEY": "long-and-random-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2, "ALLOWED_HOSTS": "queue.example.com",
    "ADMIN_EMAILS": "a@example.com", "EMAIL_URL": "smtp+tls://u:p@mail.example.com:587", "HTTPS": "True",
    "CSRF_TRUSTED_ORIGINS": "https://queue.example.com", "PROXY_COUNT": "1",
}  # fmt: skip


def ended(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **variables}
    environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # of the tests' own
    return subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def test_without_django_one_line_says_what_to_activate() -> None:
    command = [sys.executable, "-S", "-E", "manage.py", "jobs"]  # without the installed packages
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, ". .venv/bin/activate" in line) == (1, True)


def test_the_documented_settings_have_nothing_dangerous() -> None:
    guide = (ROOT / "docs" / "production.md").read_text("utf-8")
    assert {name for name in PRODUCTION if f"`{name}" not in guide} == set()
    checked = ended("check", "--deploy", "--database", "default", **PRODUCTION)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "identified no issues" in checked.stdout
    assert "security.W008" in ended("check", "--deploy", **(PRODUCTION | {"HTTPS": ""})).stderr, "nothing is silenced without TLS"


def test_what_is_missing_is_said_before_people_rely_on_it() -> None:
    said = ended("check", "--deploy", **(PRODUCTION | {"ADMIN_EMAILS": "", "PROXY_COUNT": "0", "ALLOWED_HOSTS": ""})).stderr
    assert re.findall(r"\(([\w.]+)\) .*\n\tHINT: ", said) == ["jobs.W006", "jobs.W007", "jobs.W008"], said


def test_plain_http_is_redirected_where_the_proxy_leaves_it_to_the_pages() -> None:
    ask = """from django.test import Client
for path in ("/", "/healthz"):
    for scheme in ("http", "https"):
        answer = Client().get(path, headers={"host": "queue.example.com", "x-forwarded-proto": scheme})
        print(path, scheme, answer.status_code, answer.headers.get("Location"), answer.headers.get("Strict-Transport-Security"))"""
    said = ended("shell", "-v", "0", "-c", ask, **PRODUCTION, HTTPS_REDIRECT="True", HSTS_SUBDOMAINS="True", HSTS_PRELOAD="True").stdout
    assert said.splitlines() == [
        "/ http 301 https://queue.example.com/ None",
        "/ https 302 /accounts/login/?next=/ max-age=31536000; includeSubDomains; preload",
        "/healthz http 200 None None",
        "/healthz https 200 None max-age=31536000; includeSubDomains; preload",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:hidden@h/d"),
        ("REDIS_URL", "ftp://u:hidden@h"),
        ("DATABASE_DIRECT_URL", "hidden"),
        ("JOBS_MAX_LOST", "0"),
        ("JOBS_DEFAULT_TIMEOUT", "99999999999"),
        ("PORT", "0"),
        ("LANGUAGE_CODE", "xx"),
        ("TIME_ZONE", "Mars/X"),
        ("EXTRA_INSTALLED_APPS", "tests.taskapp,nosuchapp"),
        ("JOBS_LEADER_CHILD", "maybe"),
    ],
)
def test_every_command_ends_with_one_line(name: str, value: str) -> None:
    checked = ended("check", **{name: value})
    assert checked.returncode == 1
    assert len(checked.stderr.strip().splitlines()) == 1
    assert name in checked.stderr
    assert "hidden" not in checked.stderr
