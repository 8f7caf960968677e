"""Mechanical Turk's ExternalQuestion: our page in a frame of its own; a form sends the submission to it.

https://docs.aws.amazon.com/AWSMechTurk/latest/AWSMturkAPI/ApiReference_ExternalQuestionArticle.html
"""

from xml.etree.ElementTree import Element, SubElement, tostring

from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext as _

from evalhub.problems import Refusal
from raters.platforms.arrivals import Arrival, numbers_in

NAME = "Mechanical Turk"
PARAMETERS = ("workerId", "hitId", "assignmentId")
PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
NAMESPACE = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"
FITS_THE_WINDOW = "0"


def is_preview(query: QueryDict) -> bool:
    """Whether somebody only looks at the HIT, and has not accepted it."""
    return query.getlist("assignmentId") == [PREVIEW]


def arrival(query: QueryDict) -> Arrival:
    """Who comes. Refusal when a parameter is missing, or her submission would go elsewhere than to Mechanical Turk."""
    participant, study, session = numbers_in(query, PARAMETERS, NAME)
    return Arrival(participant=participant, study=study, session=session, submit_to=_submit_to(query))


def _submit_to(query: QueryDict) -> str:
    given = query.getlist("turkSubmitTo")
    origin = given[0].removesuffix("/") if len(given) == 1 else ""
    if origin in settings.MTURK_SUBMIT_TO:
        return origin
    raise Refusal(
        _(
            "turkSubmitTo in this address is not one of Mechanical Turk's (%(allowed)s), so nothing will be sent "
            "there; open the HIT from Mechanical Turk."
        )
        % {"allowed": ", ".join(settings.MTURK_SUBMIT_TO)}
    )


def submission_address(submit_to: str) -> str:
    """Where the form goes that ends the assignment."""
    return f"{submit_to}/mturk/externalSubmit"


def question(entrance: str) -> bytes:
    """The ExternalQuestion for `CreateHIT`, as XML: our address, in a frame as high as the worker's window."""
    root = Element("ExternalQuestion", xmlns=NAMESPACE)
    SubElement(root, "ExternalURL").text = entrance
    SubElement(root, "FrameHeight").text = FITS_THE_WINDOW
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document
