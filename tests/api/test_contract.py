"""The API does what its schema says, for everybody: schemathesis asks a real server as each role and as a stranger.

Whatever one of its checks finds is mended in the API or in the schema. Where a check cannot apply to an operation, it
is narrowed for that operation alone, and NARROWED says why.

Two of its checks, use_after_free and ensure_resource_availability, look at chains of requests. None is built here:
Hypothesis wants the server to be as it was before each chain, and this one keeps what it was sent.
"""

from collections.abc import Iterator
from typing import Any, cast

import pytest
import requests
import schemathesis
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from pytest_django.plugin import DjangoDbBlocker
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from tests.api.serving import ROLES, Ground, committed, make_ground, served

EXAMPLES = 50  # of each operation, for each role
ACCEPTED = ["2xx", "401", "403", "404", "409"]

# What a schema cannot say of a request that it calls valid; by operation, the further answers that are right then.
NARROWED = {
    # The words of these name what a study has: prompts, checkpoints, criteria, tags, groups, fits, metrics' material.
    "submit": ["422"],
    "add_known_answer": ["422"],
    "list_raters": ["422"],
    "list_ship_tests": ["422"],
    "study_leaderboard": ["422"],
    "study_leaderboard_ask": ["422"],
    "study_head_to_head": ["422"],
    "study_curves": ["422"],
    "export": ["422"],
    "export_card": ["422"],
    "run_start": ["422"],
    # Rules hold together: of gold_every and repeat_every no more than half of the comparisons are controls.
    "change_rater_rules": ["422"],
    # A webhook's address must be a public one, over https.
    "add_webhook": ["422"],
    # An Idempotency-Key that was used for another request; of this kind are the short ones that are drawn.
    "withdraw": ["422"],
    "restore": ["422"],
    # The codes of one way in differ from each other.
    "create_recruitment": ["422"],
    # A prompt list is a file whose lines are read; it comes by itself or within an archive, and is not empty.
    "add_prompts": ["400", "422"],
    # A file's bytes are promised by their hash, and a Content-Range must fit the length of the body.
    "send_file": ["400", "413", "422"],
    # A file of votes is read line by line.
    "import_votes": ["400", "422"],
    "take_import_back": ["422"],
    # The table that a body of files begins with.
    "send_files": ["400", "413"],
}
SCHEMA = cast("dict[str, Any]", SchemaGenerator().get_schema(public=True))
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 1,
        "suppress-health-check": ["all"],
        "generation": {
            "max-examples": EXAMPLES,
            "deterministic": True,
            "database": "none",
            "no-shrink": True,
            "with-security-parameters": False,  # each role signs with its own
        },
        # What one run hears from the server would change what the next one asks.
        "phases": {"fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}}},
        "analysis": {"constants": {"enabled": False}},
        "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
        "operations": [
            {
                "include-operation-id": operation,
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *more]}},
            }
            for operation, more in NARROWED.items()
        ],
    }
)
# The database is set up for tests that are marked; what these do in it, they do outside the marked transaction.
pytestmark = pytest.mark.django_db
API = schemathesis.openapi.from_dict(SCHEMA, config=CONFIG)


@pytest.fixture(scope="module")
def ground(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Ground]:
    with django_db_blocker.unblock():
        yield committed(make_ground)
        committed(call_command, command_name="flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def site(ground: Ground) -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@API.parametrize()
def test_every_role_is_answered_as_the_schema_says(
    case: schemathesis.Case, ground: Ground, site: str, http: requests.Session
) -> None:
    operation, settled = case.operation.definition.raw["operationId"], is_to_be_settled(case)
    for role in roles_of(case):
        if settled:
            case.path_parameters.update(ground.place(case.operation.path, role))
        signed = ground.headers(role, fresh=operation == "logout")
        case.call_and_validate(base_url=site, session=http, headers=signed)


def roles_of(case: schemathesis.Case) -> tuple[str, ...]:
    """Everybody gets the examples; the boundaries of each value are the same to all who come so far."""
    assert case.meta is not None
    return ROLES if case.meta.phase.name == TestPhase.FUZZING else ("owner",)


def is_to_be_settled(case: schemathesis.Case) -> bool:
    """Whether to ask of what there is; one well-formed address in eight stays as it was made, and names nothing."""
    assert case.meta is not None
    path = case.meta.components.get(ParameterLocation.PATH)
    return path is not None and path.mode.is_positive and sum(str(case.path_parameters).encode()) % 8 != 0
