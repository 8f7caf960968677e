"""Every difference between two installations is an environment variable; docs/operator.md lists them all."""

from datetime import timedelta
from pathlib import Path

import environ
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()

SOURCE = Path(__file__).resolve().parent.parent
HOME = Path(env.str("EVALHUB_HOME", default=str(SOURCE / "var"))).resolve()

# A running `make run` writes what it uses here, so that `manage.py` beside it needs nothing set by hand.
if (HOME / "environment").is_file():
    environ.Env.read_env(HOME / "environment")

# -- the site -----------------------------------------------------------------------------------------------------

# No default: a site whose signing key is guessable signs nothing. `make run` makes one per home.
SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
# Where people reach the site, for links in mail and in the client; https turns the secure cookies on.
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[SITE_URL])
ROOT_URLCONF = "evalhub.urls"
WSGI_APPLICATION = "evalhub.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_htmx",
    "django_prometheus",
    "template_partials",
    "knox",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "evalhub.studies",
    "raters",
    "metrics",
    "evalhub.leaderboard",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "evalhub.languages.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "raters.framing.FramedDesk",
    "evalhub.bodies.SignInBeforeLargeBodies",  # views, and the check of forms' tokens just before them, come after it
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [SOURCE / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# -- data ---------------------------------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"].update(
    CONN_MAX_AGE=env.int("CONN_MAX_AGE", default=60),
    CONN_HEALTH_CHECKS=True,
)
# The vote's answer is sent after the commit, and the commit is on disk: never turn this off. What DATABASE_URL says
# after its question mark (the socket's folder, sslmode) stays.
DATABASES["default"].setdefault("OPTIONS", {})["options"] = "-c synchronous_commit=on"
REDIS_URL = env.str("REDIS_URL")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# STORAGE_URL is a folder (the default, inside the home) or s3://bucket/prefix.
STORAGE_URL = env.str("STORAGE_URL", default=str(HOME / "media"))


def _media_storage(url: str) -> dict[str, object]:
    if url.startswith("s3://"):
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        options = {"bucket_name": bucket, "location": prefix, "default_acl": None, "file_overwrite": True}
        return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    # A file is renamed into its place, over what a killed process may have left there; S3 does the same.
    options = {"location": url, "allow_overwrite": True}
    return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}


STORAGES = {
    "default": _media_storage(STORAGE_URL),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
# Uploads stream to a file here before they are checked; several web nodes share it, so that any of them goes on with a
# file that came in part to another. On the file system of the media a checked file is renamed, elsewhere copied.
UPLOAD_FOLDER = Path(env.str("UPLOAD_FOLDER", default=str(HOME / "uploads")))
# A file that came in part waits so long for the rest.
PART_LIFE = timedelta(hours=env.int("PART_LIFE_HOURS", default=48))
WEIGHTS_FOLDER = Path(env.str("EVALHUB_WEIGHTS", default=str(HOME / "weights")))

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "staticfiles"
STATICFILES_DIRS = [
    SOURCE / "static",
    ("htmx", SOURCE / "node_modules" / "htmx.org" / "dist"),
    ("openseadragon", SOURCE / "node_modules" / "openseadragon" / "build" / "openseadragon"),
]

# -- people -------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "studies.User"
AUTHENTICATION_BACKENDS = ["evalhub.sessions.Accounts"]
SESSION_ENGINE = "evalhub.sessions"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "studies"
# Single sign-on by OpenID Connect, where an operator names a provider. Its name is what the button says.
OIDC_SERVER_URL = env.str("OIDC_SERVER_URL", default="")
OIDC_NAME = env.str("OIDC_NAME", default="single sign-on")
# Whether whoever the provider lets in gets an account, which may see nothing until somebody invites it to a study.
OIDC_MAKES_ACCOUNTS = env.bool("OIDC_MAKES_ACCOUNTS", default=True)
# Whether an address that the provider has verified opens the account that has it already. Only for a provider that
# gives nobody another person's address.
OIDC_TRUSTS_EMAIL = env.bool("OIDC_TRUSTS_EMAIL", default=False)
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "EMAIL_AUTHENTICATION": OIDC_TRUSTS_EMAIL,
        "EMAIL_AUTHENTICATION_AUTO_CONNECT": OIDC_TRUSTS_EMAIL,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": OIDC_NAME,
                "client_id": env.str("OIDC_CLIENT_ID"),
                "secret": env.str("OIDC_CLIENT_SECRET", default=""),
                "settings": {"server_url": OIDC_SERVER_URL},
            }
        ]
        if OIDC_SERVER_URL
        else [],
    }
}
SOCIALACCOUNT_ADAPTER = "evalhub.studies.single_sign_on.Adapter"
# A link: the policy on forms would stop one that leads to another site.
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_VERIFICATION = ACCOUNT_EMAIL_VERIFICATION = "none"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
# Two instances on one host share a cookie jar (cookies know no ports), so each home names its own.
SESSION_COOKIE_NAME = env.str("SESSION_COOKIE_NAME", default="evalhub_session")
CSRF_COOKIE_NAME = env.str("CSRF_COOKIE_NAME", default="evalhub_csrf")

# Without a mail server, mail (a password reset) is written to files that the operator can read.
EMAIL_CONFIG = env.email("EMAIL_URL", default="filemail:///" + str(HOME / "mail").lstrip("/"))
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="EvalHub <evalhub@localhost>")

LANGUAGE_CODE = "en"
# Those with a catalogue, under their own names, as a reader looks for hers.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [SOURCE / "evalhub" / "locale"]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = int(timedelta(days=365).total_seconds())
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

# -- security -----------------------------------------------------------------------------------------------------

_HTTPS = SITE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _HTTPS
SECURE_SSL_REDIRECT = _HTTPS and env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # asked by machines from inside, over plain HTTP
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if _HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF, "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
# Mechanical Turk: which origins take a worker's submission, and which may show the desk in a frame.
MTURK_SUBMIT_TO = env.list("MTURK_SUBMIT_TO", default=["https://www.mturk.com", "https://workersandbox.mturk.com"])
MTURK_FRAMES = env.list("MTURK_FRAMES", default=["https://*.mturk.com"])
# Bodies are streamed to a file by the upload view; what remains in memory is forms and JSON (a manifest of 50,000 files
# is about 12 MB).
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 2**20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
DATA_UPLOAD_MAX_NUMBER_FILES = 20_000
FILE_UPLOAD_TEMP_DIR = None

# -- limits on what researchers send ------------------------------------------------------------------------------

MAX_FILE_BYTES = env.int("MAX_FILE_BYTES", default=2 * 2**30)
MAX_IMAGE_SIDE = env.int("MAX_IMAGE_SIDE", default=16_384)
MAX_VIDEO_SIDE = env.int("MAX_VIDEO_SIDE", default=4096)
MAX_VIDEO_FRAMES = env.int("MAX_VIDEO_FRAMES", default=3600)
DECODE_SECONDS = env.int("DECODE_SECONDS", default=60)
DECODE_VIDEO_SECONDS = env.int("DECODE_VIDEO_SECONDS", default=300)
DECODE_MEMORY_BYTES = env.int("DECODE_MEMORY_BYTES", default=6 * 2**30)

# -- the API ------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "evalhub.studies.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["evalhub.studies.authentication.Allowed"],
    "DEFAULT_PARSER_CLASSES": ["evalhub.parsing.JsonBody"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    # What an address takes is in the schema; an answer of its own to OPTIONS would not be.
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "evalhub.schema.Schema",
    "EXCEPTION_HANDLER": "evalhub.problems.problem_response",
    "DEFAULT_THROTTLE_CLASSES": ["evalhub.rates.Rates"],
    "DEFAULT_THROTTLE_RATES": {
        "stranger": env.str("API_STRANGER_RATE", default="60/min"),
        "read": env.str("API_READ_RATE", default="6000/min"),
        "write": env.str("API_WRITE_RATE", default="1200/min"),
        # A delivery asks once for each file, or piece of one.
        "files": env.str("API_FILE_RATE", default="60000/min"),
        # What takes long to make: a file of votes or preferences; a ranking of a slice, a run of metrics.
        "exports": env.str("API_EXPORT_RATE", default="60/min"),
        "computing": env.str("API_COMPUTING_RATE", default="60/min"),
        "login": env.str("LOGIN_RATE", default="20/min"),
        # New raters by open links and from platforms, per address: a class behind one address comes at once.
        "visit": env.str("VISIT_RATE", default="60/min"),
    },
    # Whom a throttle counts: the peer, or what the one proxy in front says; anything else in the header is hearsay.
    "NUM_PROXIES": 1 if env.bool("BEHIND_PROXY", default=False) else 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "EvalHub",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # What is asked and what is answered have shapes of their own: a request is refused for what an answer has more.
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "evalhub.schema.introduce",
    ],
    "ENUM_NAME_OVERRIDES": {
        "StudyState": "evalhub.studies.models.StudyState",
        "SubmissionState": "evalhub.studies.models.SubmissionState",
        "RunState": "metrics.models.RunState",
    },
}
KNOX_TOKEN_MODEL = "studies.ApiToken"
# Our own token replaces knox's; its migrations would make a table that nothing fills and no flush empties.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=env.int("TOKEN_DAYS", default=90)),
    "AUTO_REFRESH": False,
    "TOKEN_PREFIX": "evh_",
}

# -- the workers --------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
# Hosts and networks of our own that webhooks may call nevertheless, over http too: "10.0.0.0/8,hooks.internal".
WEBHOOKS_MAY_REACH = env.list("WEBHOOKS_MAY_REACH", default=[])

# A shard's lease outlives a missed heartbeat or two; the sweep gives an expired one to another worker.
SHARD_LEASE = timedelta(seconds=env.int("SHARD_LEASE_SECONDS", default=60))
SHARD_SIZE = env.int("SHARD_SIZE", default=256)
SHARD_MAX_ATTEMPTS = env.int("SHARD_MAX_ATTEMPTS", default=3)
SWEEP_SECONDS = env.int("SWEEP_SECONDS", default=15)
# What the cache of features may hold, in bytes; what was not used for longest goes first.
FEATURE_CACHE_BYTES = env.int("EVALHUB_FEATURE_CACHE_BYTES", default=50 * 2**30)
TORCH_DEVICE = env.str("TORCH_DEVICE", default="auto")


def prices_by_device(text: str) -> dict[str, float]:
    """`2.50` for every device, or prices by the devices' names: `cpu=0.10, NVIDIA H200=3.90`."""
    try:
        entries = [entry.rpartition("=") for entry in text.split(",") if entry.strip()]
        return {device.strip().lower(): float(price) for device, _, price in entries}
    except ValueError:
        raise ImproperlyConfigured(
            f"DEVICE_PRICE_PER_HOUR is a price, or prices by device such as “cpu=0.10, NVIDIA H200=3.90”; got “{text}”."
        ) from None


# US dollars for an hour of one device, by the device's name; "" is any other. Without one no cost is shown.
DEVICE_PRICE_PER_HOUR = prices_by_device(env.str("DEVICE_PRICE_PER_HOUR", default=""))
# A fit starts this long after the vote that asked for it, so that a burst of votes is one fit.
REFIT_DELAY_SECONDS = env.int("REFIT_DELAY_SECONDS", default=5)

# -- logs ---------------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"one_line": {"()": "evalhub.bodies.WithoutTraceback"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        "line": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["one_line"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    # A 403 or 404 is an answer, not a fault: without this each would be logged with its traceback.
    # What a stranger sent (a wrong host, a body that is too large) is a line: it says nothing about our code.
    "loggers": {
        "django.server": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "django.security": {"handlers": ["line"], "propagate": False},
        "httpx": {"level": "WARNING"},
        "PIL": {"level": "INFO"},
    },
}
