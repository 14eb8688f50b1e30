"""A JSON column that keeps what was written: PostgreSQL's json, not jsonb."""

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from jobs.domain import readable


class Unreadable(str):
    """Stands for a value that Python cannot read, or not show: a plain INSERT may bring what is JSON for PostgreSQL alone."""

    __slots__ = ()


def value_of(text: str, *, is_cut: bool = False) -> Any:
    """The value of a JSON text, an Unreadable where there is none. `is_cut`: it is the beginning of a longer one, whose value as far as it
    goes."""
    try:
        return readable.beginning(text, 1) if is_cut else readable.loads(text)
    except ValueError:
        return Unreadable(_("(cannot be read)"))


class JSONTextField(models.JSONField):
    """JSON kept as text: jsonb reorders keys, turns 1e16 into an integer and refuses \\u0000."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """As text: what the driver cannot decode would fail the query, and with it all other rows."""
        return f"{sql}::text", params

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        if not isinstance(value, str):  # RETURNING has no format: decoded already
            return value
        return value_of(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return json.dumps(value, cls=self.encoder)
