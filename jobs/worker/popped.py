"""A message that was popped from Redis, as Celery knows messages. Kombu's decoder reads its body, without what kombu puts around it."""

from json import JSONDecoder
from typing import Any, Final

from kombu.serialization import registry
from kombu.utils import json

from jobs.celery_app.sealed import Sealed

JSON: Final = "application/json"
_decode: Final = JSONDecoder(object_hook=json.object_hook).decode  # kombu makes one for each message


def _is_kombus() -> bool:
    """Whether JSON is read as kombu reads it: a project may register a serializer of its own under that name."""
    return getattr(registry, "_decoders", {}).get(JSON) is json.loads


class Popped(Sealed):
    """Read once."""

    read: Any = None

    def decode(self) -> Any:
        """The body. Raises what kombu raises."""
        if self.read is None:
            self.read = self._quickly() or super().decode()
        return self.read

    @property
    def payload(self) -> Any:
        """The same."""
        return self.decode()

    def _quickly(self) -> Any:
        if self.content_type != JSON or (self.accept is not None and JSON not in self.accept) or not _is_kombus():
            return None
        try:
            return _decode(self.body.decode() if isinstance(self.body, bytes) else self.body)
        except (ValueError, RecursionError, TypeError):
            return None  # kombu says why
