"""Errors of the verbs as one line of a command."""

from django.core.exceptions import ValidationError


def one_line(error: ValidationError) -> str:
    """Each wrong field with its reasons."""
    if hasattr(error, "error_dict"):
        return "; ".join(f"{field}: {' '.join(reasons)}" for field, reasons in error.message_dict.items())
    return " ".join(error.messages)
