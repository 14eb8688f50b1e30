"""The desk of the wheel inside the shop."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
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
            self.assertRedirects(answer, "/accounts/login/?next=" + reverse(f"jobs:{name}"))  # which answers

    def test_a_stranger_logs_in_and_out(self):
        get_user_model().objects.create_superuser("chief", "", "pass")
        self.client.logout()
        cancel = reverse("jobs:cancel", args=[Job.objects.get().pk])
        self.assertRedirects(self.client.post(cancel), "/accounts/login/?next=" + cancel, fetch_redirect_response=False)
        answer = self.client.post("/accounts/login/", {"username": "chief", "password": "pass"}, follow=True)
        self.assertContains(answer, "nothing was changed", status_code=200)
        self.assertEqual((answer.request["PATH_INFO"], Job.objects.get().status), (reverse("jobs:dashboard"), "pending"))
        answer = self.client.post(reverse("logout"), follow=True)
        self.assertTemplateUsed(answer, "jobs/login.html")

    def test_an_account_without_rights_is_refused(self):
        self.client.force_login(get_user_model().objects.create_user("guest"))
        self.assertEqual(self.client.get(reverse("jobs:dashboard")).status_code, 403)

    def test_an_act_without_the_right_for_it_is_refused(self):
        """By Django's own page: the shop has none."""
        operator = get_user_model().objects.create_user("operator")
        operator.groups.add(Group.objects.get(name="Jobs operator"))
        self.client.force_login(operator)
        answer = self.client.post(reverse("jobs:bulk"), {"verb": "delete", "job": Job.objects.get().pk})
        self.assertContains(answer, "403 Forbidden", status_code=403)
