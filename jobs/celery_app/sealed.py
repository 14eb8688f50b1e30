"""A message that is decompressed when it is read, not when it comes: a few bytes can become a gigabyte, and anybody may have sent them."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

from kombu.compression import decompress, get_decoder
from kombu.exceptions import DecodeError
from kombu.serialization import loads
from kombu.transport import virtual

MOST: Final = 64 * 1024 * 1024  # bytes that a message may become
_COMPRESSION: Final = "compression"  # the header
# How kombu's decoders unpack no more than so many bytes. Those of other packages know no such bound.
_BOUNDED: Final[dict[Any, Callable[[], Any]]] = {
    zlib.decompress: zlib.decompressobj, bz2.decompress: bz2.BZ2Decompressor, lzma.decompress: lzma.LZMADecompressor,
}  # fmt: skip


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
        body = _unpacked(self.body, compression) if compression else self.body
        return loads(body, self.content_type, self.content_encoding, accept=self.accept)


def _unpacked(body: Any, compression: str) -> Any:
    """Raises DecodeError for more than MOST bytes."""
    bounded = _BOUNDED.get(get_decoder(compression))
    if bounded is None:
        return decompress(body, compression)
    found = bounded().decompress(body, MOST + 1)
    if len(found) > MOST:
        raise DecodeError(f"unpacked, it is longer than {MOST} bytes")
    return found
