"""The order in which things are found out; what one question cannot answer stops no other."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from connector.probe import asks_files, asks_hooks, asks_platform, asks_rfis, asks_submittals
from connector.probe.person import Declined
from connector.probe.probing import Probe
from connector.probe.unknowns import PARTS
from connector.probe.wire import Faulty


@dataclass(frozen=True, slots=True)
class Ask:
    """One way to find out, and which parts it answers."""

    parts: tuple[str, ...]
    work: Callable[[Probe], Awaitable[None]]


# The webhook comes first, as events are seen by it; what spends tokens comes last.
ASKS = (
    Ask(("9.names", "9.granular"), asks_platform.read_manifests),
    Ask(("6.missing_header",), asks_platform.ask_without_company),
    Ask(("13.versions",), asks_rfis.ask_for_versions),
    Ask(("5.names",), asks_hooks.ask_for_names),
    Ask(("3.user_token",), asks_hooks.make_the_hook),
    Ask(("8.duplicate", "8.limits", "8.retention"), asks_hooks.ask_for_limits),
    Ask(("8.disabled",), asks_hooks.ask_about_disabling),
    Ask(("4.application", "4.operation"), asks_hooks.ask_for_metadata),
    Ask(("1.reply", "11.ball"), asks_rfis.ask_for_events_of_a_reply),
    Ask(("1.rfi_forward", "1.rfi_review"), asks_rfis.ask_for_events_of_a_forward),
    Ask(("11.exclusive",), asks_rfis.ask_for_official_replies),
    Ask(("13.advance",), asks_rfis.ask_for_the_body_of_advance),
    Ask(("14.retrieve",), asks_rfis.ask_for_the_event_of_a_return),
    Ask(("1.response", "2.body", "2.upload_ids", "2.parallel"), asks_submittals.ask_for_a_response),
    Ask(("2.on_behalf", "2.mail"), asks_submittals.ask_for_a_response_on_behalf),
    Ask(("1.submittal_forward", "1.submittal_review"), asks_submittals.ask_for_a_forward),
    Ask(
        ("10.create_multipart", "10.create_upload_ids", "10.update_upload_ids", "10.url_life"),
        asks_files.ask_for_files,
    ),
    Ask(("14.submittal_delete", "14.submittal_restore"), asks_submittals.ask_for_events_of_bins),
    Ask(("14.package",), asks_submittals.ask_for_the_event_of_a_move),
    Ask(("5.reasons",), asks_hooks.sum_up_reasons),
    Ask(("7.limits", "7.key"), asks_platform.ask_for_limits),
    Ask(("6.client",), asks_platform.ask_as_another_client),
    Ask(("6.idle",), asks_platform.leave_idling),
    Ask(("6.spent", "6.old_access"), asks_platform.ask_about_refreshing),
    Ask(("12.pkce",), asks_platform.ask_for_pkce),
)


async def find_out(probe: Probe, only: frozenset[int]) -> None:
    """Ask what is not answered yet, each after the other.

    Args:
        probe: the run.
        only: numbers of unknowns; empty for all. The webhook is made for whatever needs events.
    """
    for ask in ASKS:
        left = [key for key in ask.parts if not probe.answers.has(key)]
        wanted = not only or any(PARTS[key].number in only for key in ask.parts)
        makes_hook = ask.work is asks_hooks.make_the_hook and probe.watch is None
        if makes_hook or (left and wanted):
            await _ask(probe, ask)


async def _ask(probe: Probe, ask: Ask) -> None:
    for key in ask.parts:
        probe.person.say(f"{key}  {PARTS[key].asks}")
    probe.answers.forget_unanswered(ask.parts)
    try:
        await ask.work(probe)
    except Declined as declined:
        why = f"not agreed to: {declined}"
    except Faulty as fault:
        why = f"could not be found out: {fault}"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # an answer of an unforeseen shape: it is told, and the other questions go on
        why = f"an answer had another shape than is read here ({type(error).__name__}: {error})"
    else:
        why = "was not reached"
    for key in ask.parts:
        if key not in probe.answers.kept.answers:
            probe.answers.leave(key, why)
        answer = probe.answers.kept.answers[key]
        probe.person.say(f"      {answer.verdict.replace('_', ' ')}: {answer.found}")
