"""All settings, read once from the environment by typed readers; the embedded default needs none of them."""

import sys
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from config import env
from config.logs import logging_config
from config.secrets import local_secret

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.path("SEEIT_DATA_DIR", BASE_DIR / ".data")
DEMO = env.flag("SEEIT_DEMO")
DEBUG = env.flag("DEBUG")
TESTING = "pytest" in sys.modules
RELEASE = env.text("RELEASE", "dev")

EMBEDDED = not env.text("DATABASE_URL")
SECRET_KEY = env.text("SECRET_KEY") or local_secret(DATA_DIR, "secret_key", embedded=EMBEDDED)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]", "testserver"] if EMBEDDED else [])
FIELD_ENCRYPTION_KEYS = env.words("FIELD_ENCRYPTION_KEYS") or [
    local_secret(DATA_DIR, "field_encryption_key", embedded=EMBEDDED)
]

INSTALLED_APPS = [
    "monitor.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_structlog",
    "csp",
    "config.apps.InstallationConfig",
    "shops",
    "irschemas",
    "prompts",
    "runs",
    "django_q",  # after `runs`, whose `qcluster` command is the one that counts
    "prep",
    "storefront",
    "monitor.apps.MonitorConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "config.middleware.RequestIdMiddleware",
    "csp.middleware.CSPMiddleware",
    "storefront.cors.StorefrontCorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "monitor.zone.ConsoleZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database() -> dict[str, object]:
    """The one database: `DATABASE_URL`, else the embedded server."""
    shared: dict[str, object] = {
        "ENGINE": "config.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "TEST": {"NAME": env.text("TEST_DATABASE", "test_seeit")},
    }
    if EMBEDDED:
        return shared | {"EMBEDDED": True, "NAME": "seeit", "USER": "postgres"}
    try:
        url = urlsplit(env.text("DATABASE_URL"))
        port = url.port
    except ValueError as error:
        raise env.BadEnvironment("DATABASE_URL", str(error)) from error
    if url.scheme not in ("postgres", "postgresql") or not url.path.strip("/"):
        raise env.BadEnvironment("DATABASE_URL", "expected postgresql://user:password@host:port/name")
    options = dict(parse_qsl(url.query))
    host = options.pop("host", unquote(url.hostname or ""))
    return shared | {
        "NAME": unquote(url.path.strip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": host,
        "PORT": str(port or ""),
        "OPTIONS": {"connect_timeout": 5, **options},
    }


DATABASES = {"default": _database()}
if not EMBEDDED and not ALLOWED_HOSTS:
    raise env.BadEnvironment("ALLOWED_HOSTS", "required when DATABASE_URL is set: the host names that we answer to")
DATABASE_DIRECT_URL = env.text("DATABASE_DIRECT_URL")  # for LISTEN, where DATABASE_URL leads through a pooler
if DATABASE_DIRECT_URL and not DATABASE_DIRECT_URL.startswith(("postgres://", "postgresql://")):
    raise env.BadEnvironment("DATABASE_DIRECT_URL", "expected postgresql://user:password@host:port/name")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STORAGE_BUCKET = env.text("STORAGE_BUCKET")
BLOB_STORAGE: dict[str, object] = (
    {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": STORAGE_BUCKET,
            "endpoint_url": env.text("STORAGE_ENDPOINT_URL") or None,
            "file_overwrite": True,
            "default_acl": None,
        },
    }
    if STORAGE_BUCKET
    else {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "files"), "allow_overwrite": True},
    }
)
STORAGES = {
    "default": BLOB_STORAGE,
    "blobs": BLOB_STORAGE,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if EMBEDDED or DEBUG or TESTING
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if not EMBEDDED else DATA_DIR / "static"
if EMBEDDED:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # served by the finders; whitenoise wants the folder all the same
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = EMBEDDED or DEBUG or TESTING
WHITENOISE_AUTOREFRESH = DEBUG

# The queue carries hints; rows are the truth (docs/decisions). `retry` bounds the hint, never a run.
BROKER_URL, BROKER = env.broker("BROKER_URL")
SQS_REGION = BROKER.region
Q_CLUSTER = {
    "name": "seeit",
    "cluster_name": BROKER.queue,
    "broker_class": BROKER.broker_class,
    "workers": env.integer("WORKERS", 2, minimum=1),
    "timeout": 30,
    "retry": 60,
    "max_attempts": 3,
    "ack_failures": True,
    "save_limit": -1,
    "recycle": 0,
    "catch_up": False,
    "scheduler": False,
    "log_level": "WARNING",
}
RUN_LEASE_SECONDS = 15
RUN_SWEEP_SECONDS = 3
RUNS_IN_FLIGHT = env.integer("RUNS_IN_FLIGHT", 4, minimum=1)
RUN_MAX_STARTS = 5
MAX_WAIT_SECONDS = env.integer("MAX_WAIT_SECONDS", 60, minimum=1)  # a shopper who would wait longer is asked back
RUNS_PER_SHOP = env.integer("RUNS_PER_SHOP", 40, minimum=1)  # in hand at once, over all workers
RUN_COMPUTE_MEMORY_MB = env.integer("RUN_COMPUTE_MEMORY_MB", 4096)  # of one computing child; 0: as much as there is
# A computing child imports these before its first work instead of under it: one that is started ahead is then ready.
RUN_COMPUTE_IMPORTS = [f"vendors.local.{name}" for name in ("cutout", "read_facts", "placement", "composite")]

DEFAULT_MODEL_ROUTES = BASE_DIR / "config" / "models.toml"  # of it, what there are keys for
MODEL_ROUTES = env.path("MODEL_ROUTES", DEFAULT_MODEL_ROUTES)
VENDORS = {f"{name}_API_KEY": env.key(f"{name}_API_KEY") for name in ("GEMINI", "OPENAI", "PHOTOROOM")} | {
    f"{name}_BASE_URL": env.base_url(f"{name}_BASE_URL") for name in ("GEMINI", "OPENAI", "PHOTOROOM")
}
MODEL_PRICES = env.path("MODEL_PRICES", BASE_DIR / "config" / "prices.toml")
IR_VALIDATION_MODE = env.choice("IR_VALIDATION_MODE", "log" if EMBEDDED else "off", ("off", "log", "enforce"))
PIPELINE_LOGGING_ENABLED = env.flag("PIPELINE_LOGGING_ENABLED", DEMO)
MONITORING_ENABLED = env.flag("MONITORING_ENABLED", DEMO)
SHOPIFY_API_SECRET = env.words("SHOPIFY_API_SECRET")
PRODUCT_IMAGE_HOSTS = env.words("PRODUCT_IMAGE_HOSTS", ["cdn.shopify.com"])

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "core.api.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "See It",
    "DESCRIPTION": "Put a product into a shopper's room photo, at true size, and read the story of every picture.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "DISABLE_ERRORS_AND_WARNINGS": False,
    "ENUM_NAME_OVERRIDES": {
        "CompositeStatus": "storefront.answers.Status",
        "ProductAvailability": "storefront.api.products.Availability",
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not (EMBEDDED or DEBUG)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_TLS_PROXY") else None
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT")
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 0)
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 20 * 2**20

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

LOG_FORMAT = env.choice("LOG_FORMAT", "console" if EMBEDDED else "json", ("json", "console"))
LOGGING = logging_config(LOG_FORMAT, level=env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")))
DJANGO_STRUCTLOG_CELERY_ENABLED = False
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
