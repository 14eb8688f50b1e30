"""Values as the JSON of a row: what kombu writes, and floats that JSON does not know in kombu's form for such types.

PostgreSQL refuses `NaN` and `Infinity`, which Python writes: {"__type__": "float", "__value__": "nan"} comes back as the same float.
"""

import math
from typing import Any, Final

from kombu.exceptions import EncodeError
from kombu.utils.json import JSONEncoder, dumps, register_type

_encode: Final = JSONEncoder().encode  # as `dumps`, which makes one for each value
register_type(float, "float", repr, float)  # for the reading: kombu's encoder never asks about a float


def text(value: Any) -> str:
    """The JSON text. Raises kombu's EncodeError for a value that has none, as Celery does."""
    try:
        written = _encode(value)
        if "NaN" in written or "Infinity" in written:
            written = dumps(_known(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(error) from error
    return str(written)


def _known(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"__type__": "float", "__value__": repr(float(value))}
    if isinstance(value, dict):
        return {key: _known(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_known(part) for part in value]
    return value
