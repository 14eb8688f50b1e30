"""The same no-op tasks on this engine and on stock Celery, in one short run."""
