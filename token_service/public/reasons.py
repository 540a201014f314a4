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
    "not_connected": (
        "The project is not connected to that Procore project any more. Nothing was changed.",
        "Connect it on the Integrations page.",
    ),
    "proposal_gone": (
        "That proposal has been replaced or withdrawn meanwhile. Nothing was changed.",
        "Look at the table below: it shows what stands now.",
    ),
    "looser_response": (
        "The response is looser than the disposition, so nothing was changed.",
        "Read the warning beside it, and tick that you confirm it all the same if that is meant.",
    ),
    "same_person": (
        "You have confirmed this for the other party already. Nothing was changed.",
        "Ask a colleague who is in this role on the project to confirm it.",
    ),
    "response_changed": (
        (
            "That response has been renamed, moved to another class or deleted in Procore since. "
            "Nothing was changed."
        ),
        "Look at the table below, and propose the response that is meant now.",
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
