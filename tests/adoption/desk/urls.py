from django.contrib.auth.views import LoginView
from django.urls import include, path
from shop.urls import urlpatterns

urlpatterns += [
    path("desk/", include("jobs.web.urls")),
    path("accounts/login/", LoginView.as_view(template_name="jobs/login.html")),
    path("accounts/", include("django.contrib.auth.urls")),
]
