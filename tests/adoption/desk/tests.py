"""The desk of the wheel inside the shop."""

from django.contrib.auth import get_user_model
from django.test import TestCase
from django.urls import reverse
from orders.tasks import nightly_report

from jobs.models import Job


class Desk(TestCase):
    def setUp(self):
        self.client.force_login(get_user_model().objects.create_superuser("boss"))
        nightly_report.delay()

    def test_every_page_in_both_languages(self):
        job = Job.objects.get()
        pages = [reverse(f"jobs:{name}") for name in ("dashboard", "list", "create", "dead_letters", "queues", "workers")]
        for address in [*pages, reverse("jobs:detail", args=[job.pk]), reverse("jobs:create") + "?task=orders.tasks.ship"]:
            for language, words in (("en", "Jobs desk"), ("ar", "مكتب المهام")):
                answer = self.client.get(address, headers={"Accept-Language": language})
                self.assertContains(answer, words, msg_prefix=address)
        self.assertContains(self.client.get(reverse("jobs:detail", args=[job.pk])), "orders.tasks.nightly_report")

    def test_strangers_see_nothing(self):
        self.client.logout()
        for name in ("dashboard", "list", "create", "dead_letters", "queues", "workers"):
            answer = self.client.get(reverse(f"jobs:{name}"))
            self.assertEqual(answer.status_code, 403)  # with LoginRequiredMiddleware: they are asked to log in
