"""Settings of the measurements and of every process they start: the real ones, on a scratch database."""

from config import env
from config.settings import *  # noqa: F403
from config.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench"]
DATABASES["default"]["NAME"] = env.text("BENCH_DATABASE", "bench_template")
