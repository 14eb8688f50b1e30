"""A real SMTP server on the loopback address, which keeps what it is sent."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller


class Inbox:
    """What arrived: (recipients, message)."""

    def __init__(self, refusal: str = "") -> None:
        self.mails: list[tuple[list[str], Message]] = []
        self.refusal = refusal  # the answer to every message, such as "550 no"; empty: each is taken

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Called by aiosmtpd with each message."""
        if self.refusal:
            return self.refusal
        self.mails.append((list(envelope.rcpt_tos), message_from_bytes(envelope.content)))
        return "250 kept"

    def body(self, number: int) -> str:
        """The text of one mail."""
        payload = self.mails[number][1].get_payload(decode=True)
        assert isinstance(payload, bytes)
        return payload.decode()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mail_server(port: int, inbox: Inbox) -> Iterator[Inbox]:
    """The server, while the block runs."""
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()
