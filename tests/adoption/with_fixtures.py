"""Tests of the shop with Celery's fixtures for pytest; they pass before and after the two lines."""

import pytest
from orders import tasks
from orders.models import Product
from shop.celery import app


@pytest.fixture(scope="session")
def celery_config():
    return {"broker_url": "memory://", "result_backend": "cache+memory://"}


def test_an_app_of_the_tests_own(celery_app, celery_worker):
    @celery_app.task
    def mul(x, y):
        return x * y

    celery_worker.reload()
    assert mul.delay(4, 4).get(timeout=20) == 16


class TestTheProject:
    @pytest.fixture
    def celery_app(self):
        return app

    @pytest.fixture
    def celery_worker_parameters(self):
        return {"perform_ping_check": False, "queues": ["celery", "mail"]}

    @pytest.mark.django_db(transaction=True)
    def test_its_tasks(self, celery_app, celery_worker):
        tea = Product.objects.create(name="tea", price=5, stock=3)
        assert tasks.nightly_report.delay().get(timeout=20) == 0
        failed = tasks.reserve.delay(tea.pk)
        with pytest.raises(Exception, match="matching query does not exist"):
            failed.get(timeout=20)
        assert failed.state == "FAILURE"
