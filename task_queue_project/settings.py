"""Django's settings: the environment variables of `.env.example`, each with its default."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from jobs.conf import MOST, RANGES

from . import environment, servers, translations

BASE_DIR = Path(__file__).resolve().parent.parent
environment.load(BASE_DIR)
read = environment.read
PORTS = (1, 65_535)

DATA_DIR = BASE_DIR / read("str", "DATA_DIR", "var")
DEBUG = read("bool", "DEBUG", True)
SECRET_KEY = environment.secret_key(DATA_DIR, debug=DEBUG)
SECRET_KEY_FALLBACKS = read("list", "SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = read("list", "ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = read("list", "CSRF_TRUSTED_ORIGINS", [])
PORT = read("int", "PORT", 8000, PORTS)
HTTPS = read("bool", "HTTPS", False)  # True behind a proxy that speaks TLS
PROXY_COUNT = read("int", "PROXY_COUNT", 0, (0, MOST))  # that many from the right of X-Forwarded-For is the visitor's address

# --- servers --------------------------------------------------------------------------------------------------------------------
try:
    SERVERS = servers.find(os.environ, DATA_DIR)
    DATABASES: dict[str, dict[str, Any]] = {"default": servers.database_settings(SERVERS.database_url)}
    if JOBS_DATABASE_DIRECT_URL := read("str", "DATABASE_DIRECT_URL", ""):
        servers.database_settings(JOBS_DATABASE_DIRECT_URL, "DATABASE_DIRECT_URL")
except servers.AddressError as error:
    environment.stop(str(error))
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
# Behind a PgBouncer each transaction has another session, in which a cursor of the server is not found.
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = bool(JOBS_DATABASE_DIRECT_URL)
REDIS_URL = SERVERS.redis_url
CELERY_BROKER_URL = servers.broker_url(REDIS_URL)
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- the application ------------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",  # before staticfiles: runserver serves as gunicorn does
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "axes",
    "csp",
    "jobs",
]
INSTALLED_APPS += environment.apps("EXTRA_INSTALLED_APPS", INSTALLED_APPS)
MIDDLEWARE = [
    "jobs.web.live.KeptAnswers",  # first: what it keeps has the headers of all others
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "task_queue_project.probes.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "jobs.web.access.LoginRequired",  # a page is open only where it says @login_not_required
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "jobs.web.time_zone.TimeZoneMiddleware",
    "axes.middleware.AxesMiddleware",  # last
]
ROOT_URLCONF = "task_queue_project.urls"
WSGI_APPLICATION = "task_queue_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["jobs.web.tags"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "jobs.web.context.desk",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- accounts and protection ----------------------------------------------------------------------------------------------------
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "jobs.web.accounts.AccountBackend"]
# Against guessing: after so many wrong passwords of one name from one address that name waits there.
AXES_FAILURE_LIMIT = read("int", "LOGIN_FAILURE_LIMIT", 5, (1, MOST))
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "task_queue_project.attempts.address_of"
AXES_USERNAME_CALLABLE = "task_queue_project.attempts.name_of"
AXES_HANDLER = "task_queue_project.attempts.Handler"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
DEFAULT_EXCEPTION_REPORTER_FILTER = "task_queue_project.reporting.ReporterFilter"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = read("bool", "HSTS_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = read("bool", "HSTS_PRELOAD", False)
SECURE_SSL_REDIRECT = read("bool", "HTTPS_REDIRECT", False)
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]  # what asks them from beside goes past the proxy
# What Django would have besides: subdomains and the browsers' list are the domain's affair, and plain HTTP is redirected by the proxy.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"] if HTTPS else []
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None

# --- languages ------------------------------------------------------------------------------------------------------------------
LANGUAGES = [("ar", _("Arabic")), ("en", _("English"))]
LANGUAGE_CODE = environment.language("LANGUAGE_CODE", "ar", dict(LANGUAGES))
LOCALE_PATHS = [BASE_DIR / "jobs" / "locale"]
translations.compile_stale(LOCALE_PATHS)
FORMAT_MODULE_PATH = ["task_queue_project.formats"]
TIME_ZONE = environment.time_zone("TIME_ZONE", "UTC")
USE_TZ = True

# --- static files ---------------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
environment.make_folder(STATIC_ROOT)  # whitenoise warns when it is missing
STATICFILES_DIRS = [folder for folder in [BASE_DIR / "static"] if folder.is_dir()]
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- mail -----------------------------------------------------------------------------------------------------------------------
EMAIL_HOST = read("str", "EMAIL_HOST", "")
EMAIL_PORT = read("int", "EMAIL_PORT", 587, PORTS)
EMAIL_USE_TLS = read("bool", "EMAIL_USE_TLS", True)
EMAIL_HOST_USER = read("str", "EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = read("str", "EMAIL_HOST_PASSWORD", "")
EMAIL_BACKEND = read("str", "EMAIL_BACKEND", f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend")
for _name, _value in read("email_url", "EMAIL_URL", {}).items():
    if _name.startswith("EMAIL_") and _value is not None:
        globals()[_name] = _value  # the short form wins over the single ones
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = read("str", "DEFAULT_FROM_EMAIL", EMAIL_HOST_USER or "jobs@localhost")
ADMIN_EMAILS = read("list", "ADMIN_EMAILS", [])

# --- the engine -----------------------------------------------------------------------------------------------------------------
JOBS_DISPATCH_WINDOW = read("int", "JOBS_DISPATCH_WINDOW", 64, RANGES["dispatch_window"])
JOBS_SHUTDOWN_GRACE = read("float", "JOBS_SHUTDOWN_GRACE", 25.0, RANGES["shutdown_grace"])
JOBS_DEFAULT_TIMEOUT = read("int", "JOBS_DEFAULT_TIMEOUT", 3600, RANGES["default_timeout"])
JOBS_RETRY_BACKOFF = read("float", "JOBS_RETRY_BACKOFF", 1.0, RANGES["retry_backoff"])
JOBS_RETRY_BACKOFF_MAX = read("float", "JOBS_RETRY_BACKOFF_MAX", 600.0, RANGES["retry_backoff_max"])
JOBS_AUTORETRY = read("bool", "JOBS_AUTORETRY", False)
JOBS_MAX_LOST = read("int", "JOBS_MAX_LOST", 3, RANGES["max_lost"])
JOBS_ACCEPT_FOREIGN = read("bool", "JOBS_ACCEPT_FOREIGN", False)
JOBS_KEY_PREFIX = read("str", "JOBS_KEY_PREFIX", "jobs:")
JOBS_LEADER_CHILD = read("bool", "JOBS_LEADER_CHILD", True)
JOBS_MAX_ARGUMENT_BYTES = read("int", "JOBS_MAX_ARGUMENT_BYTES", 262_144, RANGES["max_argument_bytes"])
JOBS_RETENTION_DAYS = read("float", "JOBS_RETENTION_DAYS", 7.0, RANGES["retention_days"])
JOBS_SECRET_PATTERNS = read("list", "JOBS_SECRET_PATTERNS", [
    "password", "passwd", "secret", "token", "authorization", "api_key", "apikey", "passphrase", "pwd", "private_key", "privatekey",
    "access_key", "accesskey", "account_key", "accountkey", "credential", "cookie", "sessionid",
    "كلمة المرور", "كلمة مرور", "كلمة السر", "الرقم السري", "الرمز السري",
])  # fmt: skip
JOBS_ALLOWED_COMMANDS = read("list", "JOBS_ALLOWED_COMMANDS", ["clearsessions"])
JOBS_ALLOW_PRIVATE_ADDRESSES = read("bool", "JOBS_ALLOW_PRIVATE_ADDRESSES", False)
JOBS_SITE_URL = read("str", "JOBS_SITE_URL", "")

CELERY_TIMEZONE = TIME_ZONE
CELERY_ENABLE_UTC = True

# --- logging --------------------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "INFO", "handlers": ["console"]},
}
