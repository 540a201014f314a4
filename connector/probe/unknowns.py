"""The fourteen things that nobody could tell us about Procore: asked, assumed, resting on it.

A number is what `connector probe --only` takes. Each has parts that are found
out one by one; `rests_on` names what of our code would have to change, as `path: what it does`.
"""

from dataclasses import dataclass

from connector.probe.unknown_parts import Part
from connector.probe.unknowns_of_platform import PLATFORM_PARTS
from connector.probe.unknowns_of_records import RECORD_PARTS

QUESTIONS = {
    1: "Does a reply, a response or a forwarded review raise an update event of the record?",
    2: "Answering in an approver's row: body, parallel steps, on behalf of another, files, mail",
    3: "May a project Admin's user token make project webhooks?",
    4: "What fills source_application_id and source_operation_id?",
    5: "Payload v4.0: does it know the same resources, and which reasons does it give?",
    6: "Status and body of what is refused; what a refresh does to the old access token",
    7: "The real rate limits, and what they are counted by",
    8: "Limits of webhooks, how long deliveries are kept, when a webhook is disabled",
    9: "Names of the RFI and Submittals tools in the permission manifest; granular permissions",
    10: "Files on submittals: upload_ids, loss at creation, life of a storage address",
    11: "Official replies: one or several; where the ball goes after a reply by the API",
    12: "PKCE",
    13: "Which version of the RFI paths is served; the body of advance_ball_in_court",
    14: "Events of recycle bins, restores and moves between packages",
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """One of the fourteen."""

    number: int
    question: str
    parts: tuple[Part, ...]


UNKNOWNS = tuple(
    Unknown(
        number,
        question,
        tuple(part for part in (*RECORD_PARTS, *PLATFORM_PARTS) if part.number == number),
    )
    for number, question in QUESTIONS.items()
)
PARTS = {part.key: part for unknown in UNKNOWNS for part in unknown.parts}
