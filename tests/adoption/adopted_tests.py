"""Tests that the adopted shop gets beside its own: what came with the wheel."""

from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import connection
from django.template.loader import get_template
from django.test import TestCase
from django.urls import reverse
from django.utils import translation
from orders import tasks
from orders.models import Order, Product

import jobs
from jobs.models import Job


class Adopted(TestCase):
    def setUp(self):
        self.client.force_login(get_user_model().objects.create_superuser("boss"))

    def test_it_is_the_wheel(self):
        self.assertIn("site", Path(jobs.__file__).parts)

    def test_a_call_makes_a_row_in_the_caller_s_transaction(self):
        tea = Product.objects.create(name="tea", price=5, stock=3)
        order = Order.objects.create(product=tea, email="a@example.com")
        result = tasks.fulfil(order.pk)
        self.assertEqual(Job.objects.get().task, "orders.tasks.reserve")
        tasks.send_receipt.delay(order.pk)
        self.assertEqual(Job.objects.latest("id").queue, "mail")
        self.assertFalse(result.ready())

    def test_the_admin_has_its_pages(self):
        job = Job.objects.get(task_id=tasks.nightly_report.delay().id)
        for address in ("jobs_job_changelist", "jobs_deadletterqueue_changelist"):
            self.assertEqual(self.client.get(reverse(f"admin:{address}")).status_code, 200)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO jobs_deadletterqueue (job_id, error_class, message, traceback, fingerprint, attempts)"
                " VALUES (%s, 'E', 'm', 't', 'f', 1) RETURNING id", [job.pk],
            )  # fmt: skip
            entry = cursor.fetchone()[0]
        self.assertEqual(self.client.get(reverse("admin:jobs_deadletterqueue_change", args=[entry])).status_code, 200)
        page = self.client.get(reverse("admin:jobs_job_change", args=[job.pk]))
        self.assertContains(page, "orders.tasks.nightly_report")

    def test_templates_static_files_and_translations_came_along(self):
        self.assertIn("site", Path(get_template("admin/jobs/confirm.html").origin.name).parts)
        for name in ("jobs/desk.css", "jobs/admin.css", "jobs/desk.js"):
            self.assertIsNotNone(finders.find(name))
        with translation.override("ar"):
            self.assertNotEqual(translation.gettext("Dead letters"), "Dead letters")

    def test_the_checks_and_migrations_are_clean(self):
        call_command("check", fail_level="WARNING")
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    def test_the_pages_of_a_project_stay_its_own(self):
        self.assertNotIn("site", Path(get_template("admin/base_site.html").origin.name).parts[-5:])
        answer = self.client.get("/no-such-page")
        self.assertNotContains(answer, "desk", status_code=404)
        pages = Path(jobs.__file__).parent / "templates"  # elsewhere each would be found in place of Django's
        folders = {page.relative_to(pages).parts[:-1] for page in pages.rglob("*.html")}
        self.assertEqual([folder for folder in folders if folder[:1] != ("jobs",) and folder != ("admin", "jobs")], [])
        self.assertContains(self.client.get(reverse("admin:auth_user_changelist")), "nav-sidebar")
        self.assertNotContains(self.client.get(reverse("admin:jobs_job_changelist")), "nav-sidebar")  # which needs the width
