"""Settings of the clusters that chaos is made with: the real ones, a short lease, stages and a model of their own."""

import os
from pathlib import Path

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos"]
MODEL_ROUTES = Path(__file__).parent / "models.toml"
RUN_LEASE_SECONDS = int(os.environ["CHAOS_LEASE_SECONDS"])
RUN_SWEEP_SECONDS = float(os.environ["CHAOS_SWEEP_SECONDS"])
RUN_MAX_STARTS = 1000  # nobody is to blame for what we do to the workers
RUNS_PER_SHOP = 1000
RUN_COMPUTE_IMPORTS = ()  # its stages need no picture libraries
