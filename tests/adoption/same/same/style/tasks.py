"""Tasks, steps of the worker, and registrations of types, as projects write them."""

import dataclasses
import os
from datetime import datetime

from celery import Task, bootsteps, current_app, current_task, shared_task, signals
from celery.utils.log import get_task_logger
from django.utils.functional import Promise
from kombu import Consumer, Exchange, Queue
from kombu.utils.json import register_type

from same.notes import note

app = current_app
logger = get_task_logger(__name__)


@dataclasses.dataclass
class Money:
    amount: int
    currency: str


register_type(Money, "money", dataclasses.asdict, lambda found: Money(**found))
register_type(Promise, "lazy", str, str)


@shared_task(bind=True)
def where(self, *args, **kwargs):
    info = self.request.delivery_info
    return [info["exchange"], info["routing_key"], info["priority"]] if kwargs.get("details") else "done"


@shared_task(bind=True)
def by_topic(self):
    return "done"


@shared_task
def pays(money, label=""):
    return [type(money).__name__, dataclasses.asdict(money), label, money]


@shared_task(bind=True)
def priorities(self, depth):
    if depth:
        priorities.delay(depth - 1)
    note(f"priorities {self.request.root_id}", self.request.delivery_info["priority"])


@shared_task(bind=True)
def times(self):
    from django.utils import timezone

    eta, expires = self.request.eta, self.request.expires
    return {
        "eta": [type(eta).__name__, eta is not None and datetime.fromisoformat(eta).tzinfo is not None],
        "expires": [type(expires).__name__],
        "now": type(self.app.now()).__name__,
        "utc": self.request.utc,
        "zone": str(timezone.get_current_timezone()),
    }


@shared_task
def deep():
    def deeper():
        raise KeyError("deep")

    deeper()


class Tracked(Task):
    """A base with hooks, state of its own and calls that it counts, as saleor's and zulip's."""

    abstract = True
    calls = 0
    queue = "routed"
    ignore_result = False

    def apply_async(self, args=None, kwargs=None, *, tenant=None, **options):
        headers = options.pop("headers", None) or {}
        type(self).calls += 1
        return super().apply_async(args, {**(kwargs or {}), "tenant": tenant or "public"}, headers={**headers, "tenant": tenant}, **options)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note(f"tracked {task_id}", [str(exc), kwargs["tenant"], getattr(self.request, "tenant", None)])
        super().on_failure(exc, task_id, args, kwargs, einfo)


@shared_task(base=Tracked, bind=True, autoretry_for=(ConnectionError,), retry_backoff=True, retry_jitter=True, max_retries=1)
def tracked(self, value, tenant):
    assert current_task.name == self.name
    if value == "away" and not self.request.retries:
        raise ConnectionError("away")
    if value == "fails":
        raise ValueError("fails")
    return [value, tenant, getattr(self.request, "tenant", None), self.request.retries, self.queue]


@shared_task
def seen_by_steps():
    return "done"


class Liveness(bootsteps.StartStopStep):
    """Touches a key each tenth of a second, as probes of Kubernetes want it."""

    requires = {"celery.worker.components:Timer"}

    def __init__(self, worker, **kwargs):
        self.timer = None

    def start(self, worker):
        self.timer = worker.timer.call_repeatedly(0.1, note, ("liveness", "beat"), priority=10)

    def stop(self, worker):
        if self.timer:
            self.timer.cancel()


class Orders(bootsteps.ConsumerStep):
    """Reads messages of another program from a queue of its own."""

    def get_consumers(self, channel):
        queue = Queue(f"orders-{os.environ['SAME']}", Exchange("orders", type="direct"), routing_key=f"orders-{os.environ['SAME']}")
        return [Consumer(channel, queues=[queue], callbacks=[self.taken], accept=["json"])]

    def taken(self, body, message):
        note("orders", body)
        seen_by_steps.delay()
        message.ack()


app.steps["worker"].add(Liveness)
app.steps["consumer"].add(Orders)


@signals.after_setup_logger.connect
def after_setup_logger(logger=None, loglevel=None, **given):
    note("after_setup_logger", [type(logger).__name__, sorted(given)])


@signals.celeryd_after_setup.connect
def after_setup(sender=None, instance=None, conf=None, **given):
    note("celeryd_after_setup", [sender, conf.timezone, sorted(given)])


@app.on_after_configure.connect
def periodic(sender, **given):
    sender.add_periodic_task(3600.0, where.s(details=True), name="hourly")
