"""The WSGI application that gunicorn serves."""

import gc
import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalhub.settings")
# Nothing that is loaded here is garbage, and looking for some, again and again, is a third of the start. Frozen, it is
# not looked at later either, nor written to: the processes that the server forks go on sharing its memory.
gc.disable()
application = get_wsgi_application()
# All views, before the server forks: else each of its processes would load them while the first requests wait. What
# only a few pages need and takes long to load (drawing, Arrow, parts of scipy) is loaded where it is used.
import_module("evalhub.urls")
gc.freeze()
gc.enable()
