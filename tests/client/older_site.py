"""The site as it was before it took many files in one request, for gunicorn: this one without that address."""

import os
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalhub.settings")
django.setup()
addresses = import_module("evalhub.studies.api_urls").urlpatterns
addresses[:] = [each for each in addresses if each.name != "files"]
application = import_module("evalhub.wsgi").application  # which takes the addresses as they are now
