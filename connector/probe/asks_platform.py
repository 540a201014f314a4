"""Unknowns 6, 7, 9 and 12: OAuth, limits, permissions."""

import secrets
from typing import Any

import msgspec

from connector.probe.authorizing import ask_for_code, asked_for_tokens, end, tokens_in
from connector.probe.probing import NEEDS_SECOND, Probe
from connector.probe.wire import Faulty, Seen, Session
from services.procore.oauth import InvalidGrant, NotProcessed, read_token_answer
from services.procore.permissions import is_admin_of_both, levels_of

BAD_REQUEST, UNAUTHORIZED = 400, 401
BURST = 5  # calls of one person between two of the other
ME = "/rest/v1.0/me"


async def ask_without_company(probe: Probe) -> None:
    """6: a call that is fine with the company's header, without it."""
    path = f"/rest/v1.0/projects/{probe.project_id}"
    params = {"company_id": probe.first.company_id}
    with_header = await probe.first.get(path, **params)
    if not with_header.ok:
        raise Faulty(with_header.line)
    seen = await probe.first.call("GET", path, company=False, params=params)
    found = f"{seen.status}: it is tolerated" if seen.ok else f"{seen.status} {seen.words}"
    as_assumed = seen.status == BAD_REQUEST
    probe.answers.say("6.missing_header", found, as_assumed=as_assumed, evidence=(seen.line,))


async def ask_about_refreshing(probe: Probe) -> None:
    """6: refresh, present the spent token again, and try the old access token."""
    session = probe.first
    await probe.consent("refresh this run's own tokens, and present the spent one once more")
    spent, old = session.refresh_token, session.access_token
    form = {
        "grant_type": "refresh_token",
        "refresh_token": spent.reveal(),
        "redirect_uri": probe.app.redirect_uri,
    }
    renewed = await asked_for_tokens(probe.app, session.http, **form)
    session.access_token, session.refresh_token = tokens_in(renewed)
    session.older.append(old)
    again = await asked_for_tokens(probe.app, session.http, **form)
    if again.ok:  # a second pair, by which this run goes on; the first is revoked with it
        session.older.append(session.access_token)
        session.access_token, session.refresh_token = tokens_in(again)
    probe.answers.say(
        "6.spent",
        f"{again.status}: it is taken again" if again.ok else _refusal(again),
        as_assumed=isinstance(_sorted(again), InvalidGrant),
        evidence=(renewed.line, again.line),
    )
    before = await session.call("GET", ME, company=False, token=old)
    lives = before.ok
    words = "it lives on" if lives else f"it is dead: {before.status}"
    if not lives and before.status != UNAUTHORIZED:
        raise Faulty(before.line)
    probe.answers.say("6.old_access", words, as_assumed=None, evidence=(before.line,))
    now = await session.call("GET", ME, company=False)
    if not now.ok:  # what was presented twice may have ended the whole grant
        raise Faulty(f"after the spent token was presented the new one answers {now.status}")


async def ask_as_another_client(probe: Probe) -> None:
    """6: a wrong client secret, with a token that is none, so that nothing can be spent."""
    answer = await asked_for_tokens(
        probe.app,
        probe.first.http,
        client_secret=secrets.token_urlsafe(24),
        grant_type="refresh_token",
        refresh_token=secrets.token_urlsafe(24),
        redirect_uri=probe.app.redirect_uri,
    )
    as_assumed = isinstance(_sorted(answer), NotProcessed)
    found = _refusal(answer)
    probe.answers.say("6.client", found, as_assumed=as_assumed, evidence=(answer.line,))


async def leave_idling(probe: Probe) -> None:
    """6: nobody can wait for weeks here."""
    told = await probe.person.ask(
        "Has a refresh token that idled for weeks died on you? After how long? (empty: not known)"
    )
    if told:
        probe.answers.say("6.idle", f"a person says: {told}", as_assumed=None)
    else:
        probe.answers.leave("6.idle", "only a grant that idles for weeks could show it")


async def ask_for_limits(probe: Probe) -> None:
    """7: what the headers said in this run, and whether two people share a window."""
    await probe.first.get(ME)
    seen = sorted(probe.first.limits | (probe.second.limits if probe.second else set()))
    by_limit: dict[int, list[int]] = {}
    for limit, left_s in seen:
        by_limit.setdefault(limit, []).append(left_s)
    found = "; ".join(
        f"{limit} calls, reset at most {max(left)} s ahead" for limit, left in by_limit.items()
    )
    words = found or "the answers have no rate headers"
    probe.answers.say("7.limits", words, as_assumed=bool(found))
    await _ask_who_shares(probe)


async def _ask_who_shares(probe: Probe) -> None:
    if probe.second is None:
        probe.answers.leave("7.key", NEEDS_SECOND)
        return
    for _ in range(3):
        before = await _window(probe.first)
        for _call in range(BURST):
            await probe.second.get(ME)
        after = await _window(probe.first)
        if before[1:] != after[1:]:
            continue  # another window was shown: it cannot be compared
        fell = before[0] - after[0]
        evidence = (f"{BURST} calls of the second let the first's remaining calls fall by {fell}",)
        if fell == 1:
            probe.answers.say("7.key", "no", as_assumed=True, evidence=evidence)
            return
        if fell > BURST:
            words = "yes: it is counted by the app or the company"
            probe.answers.say("7.key", words, as_assumed=False, evidence=evidence)
            return
    raise Faulty("the windows changed, or others called meanwhile: it could not be told")


async def _window(session: Session) -> tuple[int, str, str]:
    """Return the remaining calls of the window that is shown, its limit and its reset."""
    path = "/rest/v1.0/companies"
    seen = await session.get(path, page="1", per_page="1")
    try:
        left = int(seen.headers["x-rate-limit-remaining"])
    except (KeyError, ValueError):
        raise Faulty("the answers have no rate headers") from None
    return left, seen.headers["x-rate-limit-limit"], seen.headers["x-rate-limit-reset"]


async def read_manifests(probe: Probe) -> None:
    """9: the manifest of whoever authorized."""
    first = await _manifest(probe, probe.first)
    tools = {
        str(one.get("name")): str(one.get("url") or "").split("?")[0].rpartition("/")[2]
        for one in first.object().get("tools") or ()
        if isinstance(one, dict)
    }
    levels = levels_of(first.body)
    both = levels.rfi is not None and levels.submittal is not None
    listed = ", ".join(f"{name} (…/{tail})" for name, tail in sorted(tools.items()))
    known = "both are known to us" if both else "we do not find both tools in it"
    evidence = [first.line, f"the first person: {_told_of(first)}"]
    if probe.second is not None:
        evidence.append(f"the second person: {_told_of(await _manifest(probe, probe.second))}")
    found = f"{known}: {listed}"
    probe.answers.say("9.names", found, as_assumed=both, evidence=tuple(evidence))
    for line in evidence[1:]:
        probe.person.say(f"      {line}")
    if not is_admin_of_both(first.body):
        probe.person.say("You are not Admin on both tools here: other answers may suffer.")
    told = await probe.person.ask(
        "Should somebody with granular permissions below Admin be able to connect a project? "
        "(empty: not decided)"
    )
    if told:
        probe.answers.say("9.granular", f"a person says: {told}", as_assumed=None)
    else:
        probe.answers.leave("9.granular", "a decision of people, not of a machine; none was given")


def _told_of(manifest: Seen) -> str:
    """Return levels and granular permissions in words."""
    levels = levels_of(manifest.body)
    granular = sorted(
        str(action.get("action_name"))
        for tool in manifest.object().get("tools") or ()
        for action in tool.get("permitted_actions") or ()
        if isinstance(action, dict)
    )
    return (
        f"RFIs {levels.rfi}, Submittals {levels.submittal}, "
        f"granular permissions {', '.join(granular) or 'none'}"
    )


async def _manifest(probe: Probe, session: Session) -> Seen:
    return await session.get("/rest/v1.0/settings/permissions", project_id=probe.project_id)


async def ask_for_pkce(probe: Probe) -> None:
    """12: authorize once more, and exchange the code with another verifier than was announced."""
    await probe.consent("have you authorize once more, for tokens that are revoked at once")
    code = await ask_for_code(probe.app, probe.person, probe.first.label, secrets.token_urlsafe(48))
    answer = await asked_for_tokens(
        probe.app,
        probe.first.http,
        grant_type="authorization_code",
        code=code.reveal(),
        redirect_uri=probe.app.redirect_uri,
        code_verifier=secrets.token_urlsafe(48),
    )
    found = "no: PKCE is ignored" if answer.ok else f"yes: {_refusal(answer)}"
    probe.answers.say("12.pkce", found, as_assumed=None, evidence=(answer.line,))
    if answer.ok:
        access, refresh = tokens_in(answer)
        extra = Session(probe.first.http, probe.app.api_url, "the extra grant", access, refresh)
        await end(probe.app, extra)


def _sorted(answer: Seen) -> Any:
    """Sort an answer of the token endpoint as the token service would."""
    body = answer.words if answer.body is None else answer.body
    return read_token_answer(answer.status, answer.headers, msgspec.json.encode(body))


def _refusal(answer: Seen) -> str:
    word = answer.body.get("error") if isinstance(answer.body, dict) else None
    return f"{answer.status} {word or answer.words}"
