"""A router named by its path."""


def route(name, args, kwargs, options, task=None, **more):
    """To the videos what asks for it."""
    return {"exchange": "media", "routing_key": "media.video"} if (kwargs or {}).get("video") else None
