"""Settings of worker processes that tests start: the real ones, with the engine's test stages installed."""

import os

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.engineapp"]
RUN_LEASE_SECONDS = int(os.environ.get("TEST_LEASE_SECONDS", "2"))
RUN_SWEEP_SECONDS = float(os.environ.get("TEST_SWEEP_SECONDS", "0.5"))
RUN_COMPUTE_IMPORTS = ()  # the test stages compute nothing that needs the picture libraries
