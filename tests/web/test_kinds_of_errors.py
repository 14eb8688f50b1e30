"""Hundreds of kinds of errors: each can be reached, and the largest are found."""

import re

import pytest
from django.db import connection
from django.test import Client

pytestmark = pytest.mark.django_db
LIST = "/jobs/dead-letters/"


@pytest.fixture
def many() -> None:
    """45 kinds; the kind n has n entries, and the small ones are the newest."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO jobs_job (task, status, finished_at)
               SELECT 'jobs.tasks.sleep', 'failed', now() FROM generate_series(45, 1, -1) kind, generate_series(1, kind)"""
        )
        cursor.execute(
            """INSERT INTO jobs_deadletterqueue (job_id, error_class, message, fingerprint, attempts)
               SELECT j.id, 'ValueError', 'kind ' || k.kind, 'kind-' || k.kind, 1
                 FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM jobs_job) j
                 JOIN (SELECT kind, row_number() OVER (ORDER BY kind DESC) AS place
                         FROM generate_series(1, 45) kind, generate_series(1, kind)) k USING (place) ORDER BY j.id"""
        )


def kinds(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="group-kind-(\d+)"', page)]


def following(client: Client, address: str, link: str) -> list[list[int]]:
    """The kinds on each page from this one on, by the links."""
    found = []
    while address:
        page = client.get(address).content.decode()
        found.append(kinds(page))
        href = re.search(rf'id="{link}" href="([^"]+)"', page)
        address = LIST + href[1].replace("&amp;", "&") if href else ""
    return found


@pytest.mark.usefixtures("many")
def test_pages_lead_to_every_kind_in_both_orders(sara: Client) -> None:
    newest, largest = list(range(1, 46)), list(range(45, 0, -1))
    assert following(sara, LIST, "kinds-after") == [newest[:20], newest[20:40], newest[40:]]
    assert following(sara, f"{LIST}?order=most", "kinds-after") == [largest[:20], largest[20:40], largest[40:]]
    assert following(sara, f"{LIST}?order=most&kinds=3", "kinds-before") == [largest[40:], largest[20:40], largest[:20]]
    assert "error kinds 21 to 40 of 45" in sara.get(f"{LIST}?kinds=2").content.decode()


@pytest.mark.usefixtures("many")
def test_the_heading_leads_to_the_most_frequent_one(sara: Client) -> None:
    page = sara.get(LIST).content.decode()
    assert f'<a href="{LIST}group/kind-45/">the most frequent one</a> accounts for 4% of them' in page
    assert 45 in kinds(
        sara.get(LIST + "?" + re.findall(r'id="order-most" href="\?([^"]+)"', page)[0].replace("&amp;", "&")).content.decode()
    )


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("query", ["kinds=99", "kinds=0", "kinds=x", "kinds=" + "9" * 30, "order=x", "kinds=²"])
def test_an_address_without_sense_shows_the_first_page(sara: Client, query: str) -> None:
    assert kinds(sara.get(f"{LIST}?{query}").content.decode()) == list(range(1, 21))


@pytest.mark.usefixtures("many")
def test_the_filters_and_the_order_hold_on_the_next_page(sara: Client) -> None:
    page = sara.get(f"{LIST}?error_class=ValueError&order=most").content.decode()
    assert '<input type="hidden" name="order" value="most">' in page
    assert 'id="kinds-after" href="?error_class=ValueError&amp;order=most&amp;kinds=2"' in page
