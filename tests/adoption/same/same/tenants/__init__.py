"""Tenants in schemas of their own: django-tenants with tenant-schemas-celery."""
