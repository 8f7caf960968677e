#!/usr/bin/env python
"""Django's command line for the EvalHub site. Beside a running `make run` it needs no settings."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalhub.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{error}: start `make run`, whose settings are used by every command beside it, or set it yourself.")
