"""How many threads picture code uses."""

import os
import subprocess
import sys

LOADED = """
import django; django.setup(); import config.urls, imaging.room, os, sys
print(os.environ["OPENBLAS_NUM_THREADS"], *sys.modules)
"""


def test_the_product_multiplies_matrices_with_one_thread() -> None:
    alone = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    alone["DJANGO_SETTINGS_MODULE"] = "config.settings"
    done = subprocess.run([sys.executable, "-c", LOADED], env=alone, capture_output=True, text=True, check=True)
    threads, *modules = done.stdout.split()
    assert threads == "1"
    assert modules.index("core") < modules.index("numpy")  # which reads that number once
