"""The site's settings for a server under test, with a password hash that is not slow on purpose."""

from evalhub import settings as site

vars().update({name: value for name, value in vars(site).items() if name.isupper()})
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
