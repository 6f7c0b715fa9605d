#!/usr/bin/env python
"""Command line of See It: `manage.py help` lists the commands, `manage.py COMMAND --help` explains one."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
