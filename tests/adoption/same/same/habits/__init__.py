"""Celery code as it stands in tutorials, answers and blogs."""
