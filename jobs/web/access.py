"""Who may open a page: a visitor is asked to log in, an account needs the permission of the view."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _

from jobs.store import clock
from jobs.web.addresses import View, page_address

# No browser keeps what it was shown: after the logout nobody finds it there.
SEEN: Final[dict[str, Any]] = {"private": True, "no_store": True}
# Some do not keep what was typed into a page of which they keep nothing: going back to it would find the form empty.
TYPED: Final[dict[str, Any]] = {"private": True, "no_cache": True, "max_age": 0}


def needs(permission: str, *, kept: Mapping[str, Any] = SEEN) -> Callable[[View], View]:
    """Lead a visitor to LOGIN_URL, with or without our middleware; answer 403 to an account without `jobs.<permission>`.

    `kept`: what a browser may keep of the page.
    """

    def decorate(view: View) -> View:
        known = login_required(permission_required(f"jobs.{permission}", raise_exception=True)(view))

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method == "POST" and not request.user.is_authenticated:
                return send_again(request)
            if request.user.is_authenticated:
                clock.reckoned()  # first, so that the states of all its jobs go by what it finds
            response = known(request, *args, **kwargs)
            if isinstance(response, HttpResponseNotAllowed):
                response.content = render_to_string("jobs/405.html", {}, request)  # Django's has nothing to read
            patch_cache_control(response, **kept)
            return response

        return answer

    return decorate


def send_again(request: HttpRequest, *login: Any) -> HttpResponseRedirect:
    """From a form that was sent after the login had ended to the login, then to the form's page, which says that nothing was done."""
    text = _("You had been logged out before the form was sent: nothing was changed. Send it again.")
    messages.warning(request, text, extra_tags="send-again")  # the page fills in what was typed
    return redirect_to_login(page_address(request), *login)


class LoginRequired(LoginRequiredMiddleware):
    """Django's own, which guards every page of a project, but what a form had sent leads back to its page."""

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseRedirect:
        """To the login, and from there to where the visitor was."""
        if request.method != "POST":
            return super().handle_no_permission(request, view_func)
        return send_again(request, self.get_login_url(view_func), self.get_redirect_field_name(view_func))
