import time
from unittest import mock

from celery.contrib.testing.worker import start_worker
from celery.result import AsyncResult
from django.core import mail
from django.test import TestCase, TransactionTestCase
from django.urls import reverse
from kombu.asynchronous import set_event_loop
from shop.celery import app

from . import bank, tasks
from .models import Order, Product


def until(condition, timeout=30):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


class Eager(TestCase):
    """The steps by themselves, in this process."""

    def setUp(self):
        app.conf.task_always_eager = True
        self.addCleanup(setattr, app.conf, "task_always_eager", False)
        self.tea = Product.objects.create(name="tea", price=5, stock=3)
        self.addCleanup(bank.failures.clear)

    def test_an_order_goes_all_the_way(self):
        order = Order.objects.create(product=self.tea, email="a@example.com", quantity=2)
        self.assertEqual(tasks.fulfil(order.pk).get(), order.pk)
        order.refresh_from_db()
        self.tea.refresh_from_db()
        self.assertEqual((order.status, order.charges, self.tea.stock), (Order.SHIPPED, 1, 1))
        self.assertEqual(mail.outbox[0].to, ["a@example.com"])

    def test_a_task_called_as_a_function(self):
        order = Order.objects.create(product=self.tea, email="a@example.com", quantity=9)
        with self.assertRaises(tasks.OutOfStock):
            tasks.reserve(order.pk)

    def test_the_bank_is_away_for_a_moment(self):
        order = Order.objects.create(product=self.tea, email="a@example.com")
        bank.failures[:] = [bank.BankAway("closed"), bank.BankAway("closed")]
        self.assertEqual(tasks.charge.apply([order.pk]).get(), order.pk)


class Views(TestCase):
    def test_an_order_is_fulfilled_after_the_commit(self):
        tea = Product.objects.create(name="tea", price=5, stock=3)
        with mock.patch("orders.tasks.fulfil") as fulfil:
            with self.captureOnCommitCallbacks(execute=True):
                answer = self.client.post(reverse("place_order"), {"product": tea.pk, "email": "a@example.com"})
                fulfil.assert_not_called()
            fulfil.assert_called_once_with(answer.json()["order"])


class Worker(TransactionTestCase):
    """With a real worker, broker and results."""

    def setUp(self):
        set_event_loop(None)  # kombu 5.5 would keep that of the former worker, with its timer: countdowns would never end
        worker = start_worker(app, pool="solo", perform_ping_check=False, queues=["celery", "mail"])
        worker.__enter__()
        self.addCleanup(worker.__exit__, None, None, None)
        self.addCleanup(bank.failures.clear)
        self.tea = Product.objects.create(name="tea", price=5, stock=3)

    def order(self, quantity=1):
        answer = self.client.post(reverse("place_order"), {"product": self.tea.pk, "email": "a@example.com", "quantity": quantity})
        return Order.objects.get(pk=answer.json()["order"])

    def test_orders_are_shipped(self):
        orders = [self.order(), self.order()]
        until(lambda: Order.objects.filter(status=Order.SHIPPED).count() == 2)
        until(lambda: len(mail.outbox) == 2)
        self.tea.refresh_from_db()
        self.assertEqual((self.tea.stock, [order.pk for order in orders]), (1, sorted(order.pk for order in orders)))

    def test_the_bank_comes_back(self):
        bank.failures[:] = [bank.BankAway("closed"), bank.BankAway("closed")]
        order = self.order()
        until(lambda: Order.objects.get(pk=order.pk).status == Order.SHIPPED)
        self.assertEqual(Order.objects.get(pk=order.pk).charges, 1)

    def test_a_refused_card_stops_the_chain(self):
        bank.failures[:] = [bank.CardRefused("no credit")]
        order = self.order()
        until(lambda: Order.objects.get(pk=order.pk).status == Order.REFUSED)
        self.assertEqual(self.client.get(reverse("order_status", args=[order.pk])).json()["note"], "CardRefused: no credit")

    def test_results_and_errors_come_back(self):
        order = self.order()
        until(lambda: Order.objects.get(pk=order.pk).status == Order.SHIPPED)
        result = tasks.nightly_report.delay()
        self.assertEqual(result.get(timeout=30), 1)
        self.assertEqual(AsyncResult(result.id).state, "SUCCESS")
        failed = tasks.reserve.delay(self.order(quantity=50).pk)
        with self.assertRaises(tasks.OutOfStock):
            failed.get(timeout=30)
        self.assertTrue(failed.failed())

    def test_later_and_by_name(self):
        later = tasks.nightly_report.apply_async(countdown=0.5, expires=60)
        named = app.send_task("orders.tasks.nightly_report", queue="mail")
        self.assertEqual([named.get(timeout=30), later.get(timeout=30)], [0, 0])
