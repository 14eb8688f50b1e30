"""The bank's gateway, which is away now and then."""

failures = []  # what the next calls raise


class BankAway(Exception):
    pass


class CardRefused(Exception):
    pass


def charge(order):
    if failures:
        raise failures.pop(0)
