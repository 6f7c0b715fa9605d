"""Settings of computing children whose work is no picture: with no app and no library to load, they start at once."""

from config.settings import *  # noqa: F403

INSTALLED_APPS = []
RUN_COMPUTE_IMPORTS = ()
