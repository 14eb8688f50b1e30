"""What watches a web process asks it from beside, by the address of a pod or of this machine: ALLOWED_HOSTS says nothing of that."""

from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.middleware import common

ADDRESSES = ("/healthz", "/readyz")


class CommonMiddleware(common.CommonMiddleware):
    """Django's, but it asks by which name it is reached only where an answer may depend on it."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        """A host that is not allowed raises DisallowedHost."""
        return None if request.path_info in ADDRESSES else super().process_request(request)
