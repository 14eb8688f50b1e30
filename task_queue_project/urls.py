"""Addresses of the project: the desk, the admin, login and the language switch."""

from django.contrib import admin
from django.contrib.auth import views as accounts
from django.urls import include, path
from django.views.i18n import JavaScriptCatalog

from jobs.web.addresses import posted_from
from jobs.web.views.preferences import language
from task_queue_project import sessions  # noqa: F401 - registers itself

admin.site.enable_nav_sidebar = False  # it would list little more than the pages of jobs
# The words of the admin's scripts, with the Arabic that Django lacks.
admin.site.i18n_javascript = JavaScriptCatalog.as_view(packages=["django.contrib.admin", "jobs"])  # type: ignore[method-assign, assignment]
urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/login/", accounts.LoginView.as_view(template_name="jobs/login.html", redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", posted_from("jobs:dashboard")(accounts.LogoutView.as_view()), name="logout"),
    path("i18n/setlang/", language, name="set_language"),  # where Django's own is elsewhere; templates of other apps ask for it by its name
    path("", include("jobs.web.urls")),
]
handler400 = "jobs.web.views.errors.bad_request"
handler500 = "jobs.web.views.errors.server_error"
