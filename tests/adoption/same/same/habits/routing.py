"""A router that is a class, named by its path."""


class Router:
    """Sends what is for one customer to its own queue."""

    def route_for_task(self, task, args=None, kwargs=None, **more):
        return {"queue": "routed"} if (kwargs or {}).get("customer") == "acme" else None

    __call__ = route_for_task
