"""Who may open a page: login is asked for by the middleware, the permission by the view."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext as _

from jobs.web.addresses import View, page_address


def needs(permission: str) -> Callable[[View], View]:
    """Answer 403 to an account without `jobs.<permission>`."""
    return permission_required(f"jobs.{permission}", raise_exception=True)


class LoginRequired(LoginRequiredMiddleware):
    """Django's own, but a form that was sent after the login had ended leads back to its page, which says that nothing was done."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseRedirect:
        """To the login, and from there to where the visitor was."""
        if request.method != "POST":
            return super().handle_no_permission(request, view_func)
        messages.warning(request, _("Your login had ended before the form was sent: nothing was changed. Send it again."))
        return redirect_to_login(page_address(request), self.get_login_url(view_func), self.get_redirect_field_name(view_func))
