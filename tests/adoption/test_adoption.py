"""A shop written for stock Celery becomes durable by two lines: its own tests pass before and after, with the wheel of this project."""

import difflib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from django.conf import settings

from jobs.store import broker
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SHOP = Path(__file__).resolve().parent / "shop"
DIFF = Path(__file__).resolve().parent / "adopt.diff"
ADOPTION = {
    "shop/celery.py": ("from celery import Celery\n", "from jobs import Celery\n"),
    "shop/settings.py": ("MIDDLEWARE = [\n", 'INSTALLED_APPS += ["jobs"]\nMIDDLEWARE = [\n'),
}
QUEUES = ["-Q", "celery,mail"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this project, unpacked as pip does it; nothing else of the project is there. Made once for all processes of a run."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "wheel"
    made, failed = folder / "made", folder / "failed"
    try:
        folder.mkdir()
    except FileExistsError:
        until(lambda: made.exists() or failed.exists(), timeout=400, what="another process has made it")
        assert not failed.exists(), "another process could not make it"
        return folder / "site"
    try:
        _make(folder)
    except BaseException:
        failed.touch()
        raise
    made.touch()
    return folder / "site"


def copied(folder: Path) -> Path:
    """What a wheel is made of, in a folder that may be written to."""
    left_out = (".venv", ".versions", ".libraries", ".git", "var", "*.mo", "tests", "bench", ".*_cache", "build", "*.egg-info")
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*left_out)))


def _make(folder: Path) -> None:
    source = copied(folder / "source")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", ".", "--no-deps", "--no-build-isolation", "-w", str(folder)], cwd=source, check=True, timeout=400)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True, timeout=400)


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """The shop as it is."""
    return Path(shutil.copytree(SHOP, tmp_path / "stock"))


@pytest.fixture
def adopted(tmp_path: Path) -> Path:
    """The shop after the two lines."""
    folder = Path(shutil.copytree(SHOP, tmp_path / "adopted"))
    for name, (old, new) in ADOPTION.items():
        text = (folder / name).read_text()
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new))
    return folder


def environment(name: str, site: Path | None = None) -> dict[str, str]:
    """What the shop reads, and nothing of this project's settings."""
    database = urlsplit(os.environ["DATABASE_URL"])
    query = {key: values[0] for key, values in parse_qs(database.query).items()}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO_", "JOBS_", "DATABASE_", "REDIS_"))}
    return kept | {
        "POSTGRES_HOST": query.get("host") or database.hostname or "localhost",
        "POSTGRES_PORT": query.get("port") or str(database.port or 5432),
        "POSTGRES_USER": database.username or "postgres",
        "POSTGRES_PASSWORD": database.password or "",
        "POSTGRES_DB": name,
        "SHOP_REDIS_URL": settings.CELERY_BROKER_URL,
        "PYTHONPATH": str(site or ""),
        "PYTHONWARNINGS": "default",
    }


def ran(folder: Path, environ: dict[str, str], *arguments: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def manage(folder: Path, environ: dict[str, str], *arguments: str, timeout: float = 400) -> str:
    done = ran(folder, environ, *arguments, timeout=timeout)
    return done.stdout + done.stderr


def shell(folder: Path, environ: dict[str, str], code: str) -> str:
    """What the code prints, without warnings of a later Django."""
    return ran(folder, environ, "shell", "-v0", "-c", code).stdout.strip()


def test_the_adopting_diff_is_two_lines(stock: Path, adopted: Path) -> None:
    lines: list[str] = []
    for name in ADOPTION:
        old, new = ((folder / name).read_text().splitlines(keepends=True) for folder in (stock, adopted))
        lines += difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=1)
    assert "".join(lines) == DIFF.read_text()
    changed = [line for line in lines if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))]
    assert [line[0] for line in changed] == ["-", "+", "+"]


@pytest.mark.slow
def test_the_shop_s_tests_pass_with_stock_celery(stock: Path) -> None:
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    assert "Ran 9 tests" in manage(stock, environment("stock"), "test", "--noinput", "orders")


def test_the_shop_s_tests_pass_after_the_two_lines(adopted: Path, site: Path) -> None:
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    shutil.copy(Path(__file__).parent / "adopted_tests.py", adopted / "orders")
    out = manage(adopted, environment("adopted", site), "test", "--noinput", "orders.tests", "orders.adopted_tests")
    assert "Ran 15 tests" in out
    with database("adopted"):  # Django 6.1 asks the server whether it can generate columns
        assert "jobs.I002" in manage(adopted, environment("adopted", site), "check")  # its visibility_timeout has no effect any more


@pytest.mark.parametrize("kind", [pytest.param("stock", marks=pytest.mark.slow), "adopted"])
def test_celery_s_fixtures_for_pytest_work_before_and_after(kind: str, request: pytest.FixtureRequest, site: Path) -> None:
    broker.client(settings.CELERY_BROKER_URL).flushdb()
    folder: Path = request.getfixturevalue(kind)
    shutil.copy(Path(__file__).parent / "with_fixtures.py", folder / "orders" / "test_fixtures.py")
    environ = environment(f"fixtures_{kind}", site if kind == "adopted" else None) | {"DJANGO_SETTINGS_MODULE": "shop.settings"}
    options = ["-q", "-p", "celery.contrib.pytest", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}"]
    command = [sys.executable, "-m", "pytest", *options, "orders/test_fixtures.py"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_desk_s_pages_work_in_the_shop(adopted: Path, site: Path) -> None:
    desk = Path(__file__).parent / "desk"
    for name, target in (("settings", "shop/desk_settings"), ("urls", "shop/desk_urls"), ("tests", "orders/desk_tests")):
        shutil.copy(desk / f"{name}.py", adopted / f"{target}.py")
    out = manage(adopted, environment("desk", site), "test", "--noinput", "--settings=shop.desk_settings", "orders.desk_tests")
    assert "Ran 5 tests" in out


@contextmanager
def database(name: str) -> Iterator[None]:
    """A database of this name while the block runs."""
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.close()


@contextmanager
def worker(folder: Path, environ: dict[str, str], log: Path, *options: str) -> Iterator[None]:
    """A worker of this shop."""
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-l", "INFO", *QUEUES, *options]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: b" ready." in log.read_bytes() or process.poll() is not None, timeout=60)
        yield
    finally:
        process.terminate()
        process.wait(40)


SEND = "from orders.tasks import nightly_report; print([nightly_report.delay().id for _ in range(20)])"
WAIT = """
from celery.result import AsyncResult
import shop.celery, sys
print([AsyncResult(id).get(timeout=60) for id in {ids}])
"""


@pytest.mark.slow
def test_an_unchanged_celery_app_runs_next_to_it_on_the_same_redis(stock: Path, adopted: Path, site: Path, tmp_path: Path) -> None:
    """Both have a queue `celery`; the key prefix keeps them apart. The way back is the same: the rows that wait are drained."""
    client = broker.client(settings.CELERY_BROKER_URL)
    client.flushdb()
    old, new = environment("shop_stock"), environment("shop_adopted", site)
    with database("shop_stock"), database("shop_adopted"):
        manage(stock, old, "migrate", "-v0")
        manage(adopted, new, "migrate", "-v0")
        ids = {folder: shell(folder, environ, SEND) for folder, environ in ((stock, old), (adopted, new))}
        assert client.llen("celery") == 20  # the stock app's messages; the rows of ours are in no Redis yet
        logs = {stock: tmp_path / "stock.log", adopted: tmp_path / "adopted.log"}
        gevent = ["-P", "gevent", "-c", "4"]
        with worker(adopted, new, logs[adopted], *gevent):
            assert shell(adopted, new, WAIT.format(ids=ids[adopted])) == str([0] * 20)
            assert client.llen("celery") == 20  # untouched
            with worker(stock, old, logs[stock], "-c", "1"):
                assert shell(stock, old, WAIT.format(ids=ids[stock])) == str([0] * 20)
        for folder, log in logs.items():
            text = log.read_text()
            assert text.count(" succeeded in ") == 20
            assert all((id in text) == (other is folder) for other in ids for id in eval(ids[other]))
        assert '"pending": 0' in manage(adopted, new, "jobs", "--json") or "pending" not in manage(adopted, new, "jobs", "--json")


def test_the_guide_shows_what_is_tested() -> None:
    guide = (ROOT / "docs" / "adopting.md").read_text("utf-8")
    for name in ("settings", "urls"):
        lines = (Path(__file__).parent / "desk" / f"{name}.py").read_text("utf-8").splitlines()
        shown = [line.split("  # noqa")[0] for line in lines if not line.startswith(("from django.urls", "from shop", "ROOT_URLCONF"))]
        assert [line for line in shown if line not in guide.splitlines()] == []
    assert [line for line in DIFF.read_text().splitlines() if line[:2] in ("+I", "+f", "-f") and line not in guide.splitlines()] == []
