"""The desk's tags for templates of the admin, which also work where the project does not make them builtins."""

from jobs.web.tags import register

__all__ = ["register"]
