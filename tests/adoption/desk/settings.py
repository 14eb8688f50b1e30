from shop.settings import *  # noqa: F403

INSTALLED_APPS += ["django.contrib.humanize", "django_htmx"]  # noqa: F405
MIDDLEWARE += [  # noqa: F405
    "django.middleware.locale.LocaleMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "jobs.web.time_zone.TimeZoneMiddleware",
]
TEMPLATES[0]["OPTIONS"]["builtins"] = ["jobs.web.tags"]  # noqa: F405
TEMPLATES[0]["OPTIONS"]["context_processors"] += ["django.template.context_processors.i18n", "jobs.web.context.desk"]  # noqa: F405
LANGUAGES = [("ar", "العربية"), ("en", "English")]
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "jobs:dashboard"
ROOT_URLCONF = "shop.desk_urls"
