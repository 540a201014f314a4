"""Asking one operation whatever its contract allows, and much that it does not.

Cases are made by Schemathesis and sent in process. Their number is bounded and the chance in them
is fixed, so that a run finds what the last one found.
"""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conformity.contracts import Document

CHECKS = [  # an error of the server's own is a status that no document describes
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 20
CONFIG = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})

Headers = dict[str, str]


def ask(
    document: Document,
    app: Any,
    path: str,
    method: str,
    *,
    callers: list[Headers],
    examples: int = EXAMPLES,
) -> list[int]:
    """Send cases, right and wrong ones, as each of the callers; return the statuses answered.

    Half of them are right ones of the first caller, who may do the most.

    Raises:
        schemathesis.FailureGroup: an answer that the document does not allow, with the request
            that got it.
    """
    schema = schemathesis.openapi.from_dict(document, config=CONFIG)
    schema.app = _without_lifespan(app)
    operation = schema[path][method.upper()]
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    right, wrong = (
        # no feedback: else it tries the literals of whatever code it finds behind the application
        operation.as_strategy(generation_mode=mode, feedback=NO_FEEDBACK)
        for mode in modes
    )
    answered: list[int] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.one_of(
            st.tuples(right, st.sampled_from(callers[:1])),
            st.tuples(st.one_of(right, wrong), st.sampled_from(callers)),
        )
    )
    def asked(drawn: tuple[Any, Headers]) -> None:
        case, caller = drawn
        response = case.call(headers=caller)
        answered.append(response.status_code)
        case.validate_response(response, checks=CHECKS)

    asked()
    return answered


def _without_lifespan(app: Any) -> Any:
    """The application without what its program runs beside it, such as the sending of events."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("this application has no lifespan")
        await app(scope, receive, send)

    return serve
