"""Prolific: people come by an address with three parameters, and go back with a code that says how it went.

https://docs.prolific.com/api-reference/studies/the-study-object
"""

from urllib.parse import urlencode

from django.http import QueryDict

from raters.platforms.arrivals import Arrival, numbers_in

NAME = "Prolific"
SITE = "https://app.prolific.com"
PARAMETERS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")


def study_address(entrance: str) -> str:
    """What an owner gives to Prolific as the study's address; Prolific puts the numbers in place of the names."""
    return f"{entrance}?" + "&".join(f"{name}={{{{%{name}%}}}}" for name in PARAMETERS)


def arrival(query: QueryDict) -> Arrival:
    """Who comes. Refusal when a parameter is missing or was left as the placeholder it is."""
    participant, study, session = numbers_in(query, PARAMETERS, NAME)
    return Arrival(participant=participant, study=study, session=session)


def way_back(code: str) -> str:
    """Where she goes to be paid, or not, as the code says."""
    return f"{SITE}/submissions/complete?" + urlencode({"cc": code})
