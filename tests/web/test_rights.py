"""Who may open and do what: every address, every method, every role; and what protects a page besides."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from jobs import steering
from jobs.models import Audit, Batch, DeadLetterQueue, Job, Worker
from jobs.store.engine import connect
from jobs.store.locks import WORKER_CLASS
from jobs.web.forms import PERMISSIONS
from tests.rows import job_in

pytestmark = pytest.mark.django_db
ROLES = ("stranger", "nobody", "viewer", "operator", "admin", "root")
LOOK, OPERATE, ANSWER, ROOT = ROLES[2:], ROLES[3:], ROLES[4:], ROLES[5:]
TYPED = ("jobs:create", "jobs:dead_letters_reprocess", "jobs:dead_letters_resolve")  # pages to fill in: to be found as they were left
NOBODY: tuple[str, ...] = ()
OPEN = ROLES
# name of the address: what GET and POST answer, and to whom; None: the method does not exist (405)
Right = tuple[tuple[str, ...], set[int]] | None
TABLE: dict[str, tuple[Right, Right]] = {
    "jobs:dashboard": ((LOOK, {200}), None),
    "jobs:list": ((LOOK, {200}), None),
    "jobs:detail": ((LOOK, {200}), None),
    "jobs:dead_letters": ((LOOK, {200}), None),
    "jobs:dead_letter_group": ((LOOK, {200}), None),
    "jobs:dead_letter_group_own": ((OPERATE, {302}), (OPERATE, {302})),
    "jobs:dead_letter_group_snooze": ((OPERATE, {302}), (OPERATE, {422})),
    "jobs:queues": ((LOOK, {200}), None),
    "jobs:types": ((LOOK, {200}), None),
    "jobs:workers": ((LOOK, {200}), None),
    "jobs:worker": ((LOOK, {200}), None),
    "jobs:worker_steer": ((OPERATE, {200}), (OPERATE, {302})),
    "jobs:batches": ((LOOK, {200}), None),
    "jobs:batch": ((LOOK, {200}), None),
    "jobs:export": ((LOOK, {200}), None),
    "jobs:find": ((LOOK, {302}), None),
    "jobs:bulk": ((OPERATE, {302}), (OPERATE, {400})),
    "jobs:batch_confirm": ((OPERATE, {302}), (OPERATE, {302, 422})),
    "jobs:batch_stop": ((LOOK, {302}), (OPERATE, {302})),
    "jobs:batch_undo": ((LOOK, {302}), (OPERATE, {302})),
    "jobs:audit": ((ANSWER, {200}), None),
    "jobs:create": ((OPERATE, {200}), (OPERATE, {200, 422})),
    "jobs:cancel": ((OPERATE, {302}), (OPERATE, {302})),
    "jobs:restore": ((OPERATE, {302}), (OPERATE, {302})),
    "jobs:reprocess": ((OPERATE, {302}), (OPERATE, {302})),
    "jobs:priority": ((OPERATE, {302}), (OPERATE, {302, 422})),
    "jobs:dead_letters_act": ((OPERATE, {302}), (OPERATE, {400})),
    "jobs:dead_letters_reprocess": ((OPERATE, {200}), (OPERATE, {200, 302, 422})),
    "jobs:dead_letters_resolve": ((OPERATE, {200}), (OPERATE, {200, 302, 422})),
    "jobs:language": ((OPEN, {302}), (OPEN, {302})),
    "jobs:preferences": ((OPEN, {302}), (OPEN, {302})),
    "jobs:healthz": ((OPEN, {200}), (OPEN, {200})),
    "jobs:readyz": ((OPEN, {200, 503}), (OPEN, {200, 503})),
    "admin:jobs_job_changelist": ((LOOK, {200}), (LOOK, {200, 302})),
    "admin:jobs_job_add": ((OPERATE, {200}), (OPERATE, {200})),
    "admin:jobs_job_change": ((LOOK, {200}), (NOBODY, set())),
    "admin:jobs_job_delete": ((ANSWER, {200}), (ANSWER, {302})),
    "admin:jobs_job_history": ((ANSWER, {302}), (ANSWER, {302})),
    "admin:jobs_deadletterqueue_changelist": ((LOOK, {200}), (LOOK, {200, 302})),
    "admin:jobs_deadletterqueue_add": ((NOBODY, set()), (NOBODY, set())),
    "admin:jobs_deadletterqueue_change": ((LOOK, {200}), (NOBODY, set())),
    "admin:jobs_deadletterqueue_delete": ((NOBODY, set()), (NOBODY, set())),
    "admin:jobs_deadletterqueue_history": ((ANSWER, {302}), (ANSWER, {302})),
    "admin:jobs_audit_changelist": ((ANSWER, {200}), (ANSWER, {200, 302})),
    "admin:jobs_audit_add": ((NOBODY, set()), (NOBODY, set())),
    "admin:jobs_audit_change": ((ANSWER, {200}), (NOBODY, set())),
    "admin:jobs_audit_delete": ((NOBODY, set()), (NOBODY, set())),
    "admin:jobs_audit_history": ((ANSWER, {200}), (ANSWER, {200})),
    "admin:auth_user_changelist": ((ROOT, {200}), (ROOT, {200, 302})),
    "admin:auth_group_changelist": ((ROOT, {200}), (ROOT, {200, 302})),
}


def addresses() -> Iterator[tuple[str, str]]:
    """Every address of the desk, and those of our models in the admin: its name and its pattern."""

    def walk(patterns: Any, prefix: str, space: str) -> Iterator[tuple[str, str]]:
        for each in patterns:
            if isinstance(each, URLResolver):
                yield from walk(each.url_patterns, prefix + str(each.pattern), f"{each.namespace}:" if each.namespace else space)
            elif isinstance(each, URLPattern) and each.name:
                yield f"{space}{each.name}", "/" + (prefix + str(each.pattern)).replace("\\", "")

    yield from ((name, pattern) for name, pattern in walk(get_resolver().url_patterns, "", "") if name.startswith(("jobs:", "admin:jobs_")))


@pytest.fixture
def groups() -> None:
    """Those of the migration; other tests may have emptied the database."""
    make_groups()


def make_groups() -> None:
    with connection.schema_editor() as editor:
        importlib.import_module("jobs.migrations.0006_groups").make(apps, editor)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers for the worker of these tests."""
    monkeypatch.setattr(steering, "TIMEOUT_S", 0.05)


@pytest.fixture
def rows() -> Iterator[dict[str, int]]:
    """One of everything, by the place where its number stands in an address."""
    job = job_in("failed")
    entry = DeadLetterQueue.objects.get(job=job)
    batch = Batch.objects.create(verb="cancel", actor="sara", source="page", ids=[job.id], total=1, options={}, state="running", reasons={})
    record = Audit.objects.bulk_create([Audit(actor="sara", source="page", verb="cancel", job=job.id, before={}, after={})])[0]
    worker = Worker.objects.create(
        name="w@nowhere", hostname="nowhere", pid=1, pool="gevent", concurrency=1, queues=["celery"], tasks=[], versions={}
    )
    life = connect("rights")
    with life.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [WORKER_CLASS, worker.id])
    numbers = {"job": job.id, "deadletterqueue": entry.id, "batch": batch.id, "audit": record.id, "worker": worker.id}
    yield numbers | {"fingerprint": entry.fingerprint}
    life.close()


def client_of(role: str) -> Client:
    client = Client()
    if role != "stranger":
        user = get_user_model().objects.create_user(role, "", "x", is_staff=role != "nobody", is_superuser=role == "root")
        if role in ("viewer", "operator", "admin"):
            user.groups.add(Group.objects.get(name=f"Jobs {role}"))
        client.force_login(user)
    return client


def filled(name: str, pattern: str, rows: dict[str, int]) -> str:
    own = next((kind for kind in ("batch", "worker") if name.startswith(f"jobs:{kind}")), None)
    kind = own or next((kind for kind in ("deadletterqueue", "audit") if f"_{kind}_" in name), "job")
    for part, value in (
        ("<int:pk>", rows[kind]),
        ("<jobs_number:pk>", rows[kind]),
        ("<path:object_id>", rows[kind]),
        ("<jobs_text:fingerprint>", rows["fingerprint"]),
        ("<slug:verb>", "drain"),
    ):
        pattern = pattern.replace(part, str(value))
    return pattern


def test_every_address_is_in_the_table() -> None:
    ours = {name for name in TABLE if not name.startswith("admin:auth_")}
    assert {name for name, _ in addresses()} == ours, "a new address needs its line: who may do what there"


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_the_table_says(role: str, groups: None, rows: dict[str, int]) -> None:
    client, wrong = client_of(role), []
    found = dict(addresses()) | {
        name: f"/admin/{name.split('_')[0][6:]}/{name.split('_')[1]}/" for name in TABLE if name.startswith("admin:auth")
    }
    for name, pattern in found.items():
        path = filled(name, pattern, rows)
        for method, right in zip(("GET", "POST"), TABLE[name], strict=True):
            answer = client.generic(method, path, "", content_type="application/x-www-form-urlencoded")
            if not is_right(answer, name, role, right):
                wrong.append(f"{method} {path}: {answer.status_code} {answer.headers.get('Location', '')}")
    assert not wrong, f"{role}: " + "; ".join(wrong)


def is_right(answer: Any, name: str, role: str, right: Right) -> bool:
    """A stranger is sent to the login (where the method is not open), others are refused with 403, or 405 where there is no such method."""
    status, to = answer.status_code, answer.headers.get("Location", "")
    if right is not None and role in right[0]:
        return status in right[1] and "/login/" not in to
    if role == "stranger":
        return (status == 302 and "/login/" in to) or (right is None and status == 405)
    if role == "nobody" and name.startswith("admin:"):  # no staff: the admin asks for another account
        return status == 302 and to.startswith("/admin/login/")
    return status == 403 or (right is None and status == 405)


@pytest.mark.parametrize("verb", PERMISSIONS)
def test_each_verb_of_the_list_has_its_right(verb: str, groups: None, rows: dict[str, Any]) -> None:
    allowed = ANSWER if verb == "delete" else OPERATE
    for role in ROLES[1:]:
        answer = client_of(role).post("/jobs/bulk/", {"verb": verb, "job": rows["job"]})
        assert answer.status_code == (302 if role in allowed else 403), role
        assert Batch.objects.filter(actor=role).exists() == (role in allowed), role


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_no_other_method_changes_anything(method: str, groups: None, rows: dict[str, int]) -> None:
    client, before = client_of("root"), snapshot()
    for name, pattern in addresses():
        if not name.startswith("admin:"):
            answer = client.generic(method, filled(name, pattern, rows))
            assert answer.status_code in ({405} if not name.endswith("z") else {200, 405, 503}), name
    assert snapshot() == before


def test_nothing_is_changed_by_get(groups: None, rows: dict[str, int]) -> None:
    client, before = client_of("root"), snapshot()
    for name, pattern in addresses():
        client.get(filled(name, pattern, rows) + "?action=resolve&entry=1&priority=9&confirmed=1&note=x")
    assert snapshot() == before


def test_each_change_needs_the_token_of_the_page(groups: None, rows: dict[str, int]) -> None:
    client = client_of("root")
    client.handler.enforce_csrf_checks = True
    before = snapshot()
    for name, pattern in addresses():
        post = TABLE[name][1]
        if post is not None and not name.endswith("z"):
            assert client.post(filled(name, pattern, rows), {"priority": "9"}).status_code == 403, name
    assert client.post("/accounts/logout/").status_code == 403
    assert snapshot() == before


def snapshot() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Job, DeadLetterQueue, Batch, Audit)]


def test_the_headers_of_every_page(groups: None, rows: dict[str, int]) -> None:
    client = client_of("root")
    for name, pattern in addresses():
        if (TABLE[name][0] or ((), set()))[0]:
            answer = client.get(filled(name, pattern, rows))
            headers = answer.headers
            kept = set(headers.get("Cache-Control", "").split(", "))
            assert answer.status_code != 200 or kept >= {"private", *(("no-cache", "max-age=0") if name in TYPED else ("no-store",))}, name
            policy = headers["Content-Security-Policy"]
            assert "unsafe" not in policy, name
            assert "default-src 'none'" in policy, name
            assert "frame-ancestors 'none'" in policy, name
            assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff"), name


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil.example", "https:evil.example"]
)
def test_nobody_is_sent_elsewhere(target: str, groups: None, rows: dict[str, int]) -> None:
    get_user_model().objects.create_user("omar", "", "known")
    entered = Client().post("/accounts/login/", {"username": "omar", "password": "known", "next": target})
    client = client_of("root")
    answers = [
        entered,
        client.post("/language/", {"language": "en", "next": target}),
        client.post("/preferences/", {"theme": "dark", "next": target}),
        client.post("/jobs/dead-letters/act/", {"action": "resolve", "entry": rows["deadletterqueue"], "next": target}),
    ]
    for answer in answers:
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/")
        assert "evil" not in answer.headers["Location"]


def test_the_groups_are_made_once_and_left_alone_afterwards(groups: None) -> None:
    viewer = Group.objects.get(name="Jobs viewer")
    assert set(viewer.permissions.values_list("codename", flat=True)) == {"view_job", "view_attempt", "view_deadletterqueue", "view_worker"}
    viewer.permissions.clear()
    Group.objects.get(name="Jobs admin").delete()
    make_groups()
    assert not viewer.permissions.exists()
    assert Group.objects.get(name="Jobs admin").permissions.filter(codename="view_audit").exists()
