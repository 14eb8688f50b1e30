from celery import Task, chain, shared_task
from celery.utils.log import get_task_logger
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F, Sum

from . import bank
from .models import Order, Product

logger = get_task_logger(__name__)


class OutOfStock(Exception):
    pass


class OrderTask(Task):
    """A task about one order: what goes wrong is noted on it."""

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        Order.objects.filter(pk=args[0]).update(status=Order.REFUSED, note=f"{type(exc).__name__}: {exc}")


@shared_task(base=OrderTask)
def reserve(order_id):
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        left = Product.objects.filter(pk=order.product_id, stock__gte=order.quantity).update(stock=F("stock") - order.quantity)
        if not left:
            raise OutOfStock(f"no {order.product} left")
        order.status = Order.RESERVED
        order.save()
    return order_id


@shared_task(bind=True, base=OrderTask, max_retries=3)
def charge(self, order_id):
    order = Order.objects.get(pk=order_id)
    try:
        bank.charge(order)
    except bank.BankAway as error:
        raise self.retry(exc=error, countdown=0.1) from error
    Order.objects.filter(pk=order_id).update(status=Order.PAID, charges=F("charges") + 1)
    return order_id


@shared_task(autoretry_for=(ConnectionError,), retry_backoff=True, max_retries=5)
def send_receipt(order_id):
    order = Order.objects.select_related("product").get(pk=order_id)
    send_mail("Thank you", f"{order} is on its way.", "shop@example.com", [order.email])
    return order_id


@shared_task
def ship(order_id):
    Order.objects.filter(pk=order_id).update(status=Order.SHIPPED)
    logger.info("order %s is shipped", order_id)
    return order_id


@shared_task
def nightly_report():
    return Order.objects.filter(status=Order.SHIPPED).aggregate(n=Sum("quantity"))["n"] or 0


def fulfil(order_id):
    """Everything that follows from an order; the result of its last step."""
    return chain(reserve.s(order_id), charge.s(), ship.s(), send_receipt.s()).delay()
