"""A message that is decompressed when it is read, not when it comes: a few bytes can become a gigabyte, and anybody may have sent them."""

from typing import Any, Final

from kombu.compression import decompress
from kombu.serialization import loads
from kombu.transport import virtual

_COMPRESSION: Final = "compression"  # the header


class Sealed(virtual.Message):
    """kombu's, whose signature can be looked at before."""

    def __init__(self, payload: Any, *args: Any, **kwargs: Any) -> None:
        headers = payload.get("headers")
        if headers and _COMPRESSION in headers:
            payload = payload | {"headers": {name: value for name, value in headers.items() if name != _COMPRESSION}}
        super().__init__(payload, *args, **kwargs)
        self.headers = headers or {}

    def _decode(self) -> Any:
        compression = self.headers.get(_COMPRESSION)
        body = decompress(self.body, compression) if compression else self.body
        return loads(body, self.content_type, self.content_encoding, accept=self.accept)
