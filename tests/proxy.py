"""A proxy before a server's unix socket: it can cut connections, leave them half open, mute them, or refuse some."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Proxy:
    """Listens on a free port of 127.0.0.1, or on a unix socket, and forwards each connection to `target`."""

    def __init__(self, target: str, listen: Path | None = None) -> None:
        self.target = target
        self.refuses: Callable[[bytes], bool] = lambda first: False  # decides by the first bytes of a connection
        # By the first bytes of a connection and an answer: that answer is lost, and then the connection is cut; once.
        self.loses: Callable[[bytes, bytes], bool] = lambda first, answer: False
        self.lost = 0
        self.pairs: dict[tuple[socket.socket, socket.socket], bytes] = {}
        self.frozen: set[tuple[socket.socket, socket.socket]] = set()
        self.server = socket.socket(socket.AF_INET if listen is None else socket.AF_UNIX)
        self.server.bind(("127.0.0.1", 0) if listen is None else str(listen))
        self.server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.getsockname()[1])

    def cut(self, chosen: Callable[[bytes], bool] = lambda first: True) -> int:
        """Close the open connections whose first bytes are chosen; how many there were."""
        pairs = [pair for pair, first in list(self.pairs.items()) if chosen(first)]
        for pair in pairs:
            self._end(pair)
        return len(pairs)

    def freeze(self) -> int:
        """Leave all open connections half open: nothing passes, nothing is closed. New ones work. How many there were."""
        self.frozen |= set(self.pairs)
        return len(self.frozen)

    def mute(self, chosen: Callable[[bytes], bool]) -> int:
        """Close the server's side of the chosen connections alone: what asks over one gets no answer and no end. How many there were."""
        pairs = [pair for pair, first in list(self.pairs.items()) if chosen(first)]
        self.frozen |= set(pairs)
        for _near, far in pairs:
            far.shutdown(socket.SHUT_RDWR)
        return len(pairs)

    def close(self) -> None:
        """Stop listening and cut everything."""
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        first = b""
        try:
            first = near.recv(65536)
            if not first or self.refuses(first):
                near.close()
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.target)
            far.sendall(first)
        except OSError:
            near.close()
            return
        pair = (near, far)
        self.pairs[pair] = first
        threading.Thread(target=self._forward, args=(pair, near, far), daemon=True).start()
        threading.Thread(target=self._forward, args=(pair, far, near), daemon=True).start()

    def _forward(self, pair: tuple[socket.socket, socket.socket], source: socket.socket, sink: socket.socket) -> None:
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if pair in self.frozen:  # it stays as it is, whatever the ends do
                return
            if data and source is pair[1] and self.loses(self.pairs.get(pair, b""), data):
                self.loses = lambda first, answer: False
                self.lost += 1
                data = b""
            if not data:
                self._end(pair)
                return
            try:
                sink.sendall(data)
            except OSError:
                self._end(pair)
                return

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        self.pairs.pop(pair, None)
        self.frozen.discard(pair)
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def proxy(target: str, listen: Path | None = None) -> Iterator[Proxy]:
    """A proxy that ends with the block."""
    made = Proxy(target, listen)
    try:
        yield made
    finally:
        made.close()
