"""Where Celery meets the rows: a message becomes a row, a run is claimed, its outcome is settled."""
