"""What raters' pages say to whoever came by a link."""

from django import template

from raters.models import Visit
from raters.services.resume_codes import resume_code

register = template.Library()
register.filter("resume_code", lambda visit: resume_code(visit) if isinstance(visit, Visit) else "")
