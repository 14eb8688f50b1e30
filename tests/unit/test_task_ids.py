"""The ids of plain calls are what Celery's are: random UUIDs."""

import uuid

from jobs.celery_app import amqp


def test_they_are_random_uuids() -> None:
    made = [amqp._random_id() for _ in range(1000)]
    assert len(set(made)) == len(made)
    for text in made:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)
