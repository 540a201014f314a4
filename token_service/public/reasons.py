"""What each reason code of a refusal says to people, and what they can do about it."""

from collections.abc import Mapping

REASONS: Mapping[str, tuple[str, str]] = {
    "app_not_installed": (
        "This app is not installed in that company in Procore.",
        (
            "Ask a Procore company administrator to install it (Company level, App Management), "
            "then try again."
        ),
    ),
    "not_permitted": (
        "Procore does not let you do this.",
        (
            "Ask a Procore project administrator to check that you are in the project's directory, "
            "with Admin on the RFIs and Submittals tools."
        ),
    ),
    "needs_reauthorization": (
        "Procore no longer accepts your authorization.",
        "Authorize again under Account settings, Integrations, then connect the project.",
    ),
    "not_authorized": (
        "You have not authorized a Procore account yet.",
        "Authorize under Account settings, Integrations, then connect the project.",
    ),
    "already_connected": (
        "This project, or that project in Procore, is connected already.",
        (
            "One Part3 project goes with one Procore project. Choose another one, or disconnect "
            "the present connection first."
        ),
    ),
    "form_used": (
        "This form has been used already, and its connection has ended since.",
        "Begin again with Connect on the Integrations page.",
    ),
    "hook_refused": (
        "Procore does not let us listen for changes in this project.",
        (
            "Ask a Procore project administrator whether the RFIs and Submittals tools are "
            "switched on, and to look at the project's webhooks (Admin tool)."
        ),
    ),
}


def words_for(reason: str) -> tuple[str, str]:
    """Return what a refusal says, and the next step. The sender's own words are shown to nobody."""
    return REASONS.get(
        reason,
        (
            "Procore refused this.",
            (
                "Try again in a while. If it stays so, tell whoever runs the connector; "
                f"the reason is “{reason}”."
            ),
        ),
    )
