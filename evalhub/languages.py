"""Which language a page is in: a rater's own, as her browser or the menu on her pages says; elsewhere English."""

import re
from typing import cast

from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.translation import gettext_noop as _

# The pages that raters see. Researchers' pages and the API are not translated, and a page that is in two languages by
# halves can be read by nobody, least of all by a screen reader.
FOR_RATERS = re.compile(r"/(?:rate|join|take-part|accounts/login|language)/|/(?:studies/)?$")


# Words out of the database that stand on those pages: the roles, and the states of a study.
WORDS = (
    _("owner"),
    _("researcher"),
    _("rater"),
    _("viewer"),
    _("Draft"),
    _("Open"),
    _("Paused"),
    _("Closed"),
)


class TranslatedRequest(HttpRequest):
    is_translated: bool


class LanguageMiddleware(LocaleMiddleware):
    """Adds `request.is_translated`: whether the page may offer a menu of languages."""

    def process_request(self, request: HttpRequest) -> None:
        translated = bool(FOR_RATERS.match(request.path_info))
        cast(TranslatedRequest, request).is_translated = translated
        if translated:
            super().process_request(request)
        else:
            translation.activate("en")
            request.LANGUAGE_CODE = "en"
