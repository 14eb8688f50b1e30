"""Celery code as large Django projects write it."""
