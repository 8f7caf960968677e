"""Reading JSON. The framework loads this before its views, so nothing here may need those."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.parsers import JSONParser

from evalhub.bodies import length


class JsonBody(JSONParser):
    """JSON, as long as it may be in memory; Django's own limit knows only what Django reads."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        if length((parser_context or {})["request"]) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        return super().parse(stream, media_type, parser_context)
