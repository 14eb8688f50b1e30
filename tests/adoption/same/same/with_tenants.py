"""The same with django-tenants and tenant-schemas-celery; the jobs are in the shared schema."""

from .settings import *  # noqa: F403
from .settings import DATABASES, INSTALLED_APPS

SHARED_APPS = ["django_tenants", *INSTALLED_APPS, "same.tenants"]
TENANT_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
INSTALLED_APPS = SHARED_APPS
DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
TENANT_MODEL, TENANT_DOMAIN_MODEL = "tenants.Client", "tenants.Domain"
