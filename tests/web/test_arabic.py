"""What is one word in English and two in Arabic is said of its own noun: a worker and an act are masculine, a job is feminine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client

from jobs import batches
from jobs.domain.actors import Actor, Source
from jobs.domain.texts import NAME_LIMIT
from jobs.models import Batch, DeadLetterQueue, Worker
from jobs.models.audit import Verb
from jobs.store import audit
from tests.rows import job_in

pytestmark = pytest.mark.django_db
SARA = Actor(name="sara", source=Source.PAGE)


@pytest.fixture
def arabic(sara: Client) -> Client:
    """The same browser, in Arabic."""
    sara.cookies["django_language"] = "ar"
    return sara


def text(client: Client, address: str) -> str:
    return client.get(address, follow=True).content.decode()


def test_a_worker_and_a_job_started(arabic: Client, worker: int, leader: None) -> None:
    assert ">بدأ</th>" in text(arabic, "/jobs/workers/")
    assert "<dt>بدأ</dt>" in text(arabic, f"/jobs/workers/{worker}/")
    assert "<dt>بدأت</dt>" in text(arabic, f"/jobs/{job_in('running').pk}/")


def test_an_act_on_many_jobs_ended(arabic: Client) -> None:
    act = batches.start(Verb.CANCEL, [job_in("pending").pk for _ in range(3)], SARA, pace=1)
    address = f"/jobs/batches/{act.pk}/"
    assert "<dd>مستمر</dd>" in text(arabic, address)
    assert batches.stop(act.pk, SARA)
    page = text(arabic, address)
    for said in ("<dd>متوقف</dd>", "أوقفه \u2068sara\u2069.", "<dt>انتهى</dt>"):
        assert said in page
    assert "كان قد انتهى." in arabic.post(f"{address}stop/", follow=True).content.decode()
    Batch.objects.update(state="done")
    assert "<td>تمّ</td>" in text(arabic, "/jobs/batches/")


def test_a_drained_worker_is_put_back_to_work_and_not_followed(arabic: Client, worker: int, leader: None) -> None:
    Worker.objects.update(queues=[])
    with connection.cursor() as cursor:
        audit.steered(cursor, SARA, Verb.DRAIN, "w@host", {"queues": ["celery"]}, {"queues": []})
    job_in("pending")
    assert "أعد \u2066w@host\u2069 إلى العمل." in text(arabic, "/")
    assert ">إعادة للعمل…</a>" in text(arabic, "/jobs/workers/")
    page = text(arabic, f"/jobs/workers/{worker}/resume/")
    for said in (">إعادة هذا العامل إلى العمل؟</h1>", ">إعادته إلى العمل</button>"):
        assert said in page
    assert "متابع" not in page


def test_what_was_done_to_an_act_leads_to_it(arabic: Client) -> None:
    act = batches.start(Verb.CANCEL, [job_in("pending").pk], SARA, pace=1)
    assert batches.stop(act.pk, SARA)
    page = text(arabic, "/jobs/audit/")
    assert f'href="/jobs/batches/{act.pk}/">الإجراء الجماعي {act.pk}</a>' in page
    assert "أوقف إجراءً جماعيًا" in page


def test_an_argument_that_is_kept_is_without_change(arabic: Client) -> None:
    job_in("failed")
    page = text(arabic, "/jobs/dead-letters/reprocess/?resolution=open&until=" + str(DeadLetterQueue.objects.get().pk))
    assert page.count('<option value="" selected>بلا تغيير</option>') == 2


def test_sentences_of_django_have_the_words_of_the_page(arabic: Client, client: Client) -> None:
    sent = {"priority": "10", "max_retries": "-1", "when": "soon", "at": "x", "name": "n" * (NAME_LIMIT + 1), "queue": "celery"}
    page = arabic.post("/jobs/create/?task=jobs.tasks.fail", sent).content.decode()
    for said in (
        "يجب ألا تزيد القيمة على 9.", "يجب ألا تقل القيمة عن 0.", "اختر قيمة من الخيارات المتاحة؛ \u2068soon\u2069 ليست منها.",
        "أدخل تاريخًا ووقتًا صالحين.", f"يجب ألا يزيد عدد المحارف على {NAME_LIMIT} (وهو هنا {NAME_LIMIT + 1}).",
    ):  # fmt: skip
        assert said in page, said
    client.logout()
    page = client.post("/accounts/login/", {"username": "sara", "password": "y"}).content.decode()
    assert "أدخل اسم المستخدم وكلمة المرور الصحيحين" in page
    assert "كلمة السر" not in page


def test_a_job_that_has_ended_does_nothing_now(arabic: Client) -> None:
    ended, runs = (text(arabic, f"/jobs/{job_in(status).pk}/") for status in ("completed", "running"))
    assert ('<h2 id="why">ما آلت إليه</h2>' in ended, "ما تفعله الآن" in ended) == (True, False)
    assert '<h2 id="why">ما تفعله الآن</h2>' in runs


def test_errors_in_the_admin_and_choices_have_the_direction_of_their_words(arabic: Client) -> None:
    failed = job_in("failed")
    page = text(arabic, f"/admin/jobs/job/{failed.pk}/change/")
    assert re.search(r'field-\w*error.*?<pre class="code" dir="auto"', page, re.DOTALL)
    assert re.search(r'<select class="input" id="task" name="task"[^>]*>', text(arabic, "/jobs/create/"))[0].count("dir=") == 0  # type: ignore[index]


def test_what_django_lacks_on_the_page_of_an_account_is_there(admin_client: Client, admin_user: Any) -> None:
    admin_client.cookies["django_language"] = "ar"
    page = admin_client.get(f"/admin/auth/user/{admin_user.pk}/change/").content.decode()
    assert "Raw passwords" not in page
    assert "Reset password" not in page
    script = admin_client.get("/admin/jsi18n/").content.decode()
    found = re.search(r"newcatalog = (\{.*?\n? *\});", script, re.DOTALL)
    words = json.loads(found[1] if found else "{}")
    assert words["Choose selected %s"] == "اختيار المحدّد من %s"
    assert words["Today"] == "اليوم"
    assert [key for key in _keys_of_scripts() if key not in words] == []


def _keys_of_scripts() -> list[str]:
    """The texts that the scripts of Django's admin ask for, as keys of its catalogue of JavaScript: the context first."""
    scripts = Path(admin.__file__).parent.joinpath("static/admin/js").rglob("*.js")
    asked = [re.findall(r"\bp?gettext\('([^']+)'(?:, '([^']+)')?\)", script.read_text("utf-8")) for script in scripts]
    return [f"{first}\x04{second}" if second else first for found in asked for first, second in found]
