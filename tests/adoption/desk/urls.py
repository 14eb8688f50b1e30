from django.urls import include, path
from shop.urls import urlpatterns

urlpatterns += [
    path("desk/", include("jobs.web.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
]
