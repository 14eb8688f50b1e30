"""A project whose jobs, accounts and sessions lie in another database than its business tables."""

from typing import Any


class Router:
    """Everything of ours is in `archive`; the database `default` has no table of the desk."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "archive"

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "archive"
