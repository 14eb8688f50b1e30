"""A mail backend that notes what it is given; the first message of some is refused once."""

from django.core.mail.backends.base import BaseEmailBackend

from same.notes import note, noted


class Notes(BaseEmailBackend):
    def send_messages(self, messages):
        for message in messages:
            if message.subject == "refused once" and not noted("mail refused", 1, timeout=0):
                note("mail refused", message.subject)
                raise ConnectionRefusedError("the mail server is away")
            note(
                "mail",
                [message.subject, message.to, message.body, sorted(message.extra_headers), [str(part[1]) for part in message.attachments]],
            )
        return len(messages)
