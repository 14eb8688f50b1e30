"""Django's own admin: it shows rows and calls the verbs; nothing is edited in place."""

from django.contrib import admin

from jobs.admin import audit, dead_letter, job

admin.site.enable_nav_sidebar = False  # the lists need the width

__all__ = ["audit", "dead_letter", "job"]
