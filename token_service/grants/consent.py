"""From pressing Authorize to a stored grant, and back: consent, another account, revocation.

The OAuth `state` is ours: random, single use, ten minutes, and bound to the browser session and the
person who pressed. The PKCE verifier is derived from the session's secret and the state, so it
stands nowhere.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

import structlog

from services.errors import TryLater
from services.postgres import Postgres
from services.procore.oauth import Given, TokenAnswer, TokenPair
from services.settings import Secret
from token_service.audit import Entry, write_entry
from token_service.grants.pending import Held, PendingGrants
from token_service.grants.revoking import Revoking
from token_service.grants.store import GrantStore, Identity
from token_service.visits import Visit

STATE_LASTS_S = 600.0
AWAIT_OUTCOME_S = 10.0
POLL_S = 0.25

ADD_STATE = """
INSERT INTO authority.oauth_states (state_hash, session_hash, user_id, issuer, return_to, ends_at)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
"""
CLAIM_STATE = """
UPDATE authority.oauth_states SET used_at = now()
WHERE state_hash = $1 AND session_hash = $2 AND user_id = $3 AND issuer = $4
  AND used_at IS NULL AND ends_at > now()
RETURNING return_to, used_at
"""
READ_STATE = """
SELECT return_to, outcome, used_at IS NOT NULL AS used FROM authority.oauth_states
WHERE state_hash = $1 AND session_hash = $2 AND user_id = $3 AND issuer = $4
"""
END_STATE = "UPDATE authority.oauth_states SET outcome = $2 WHERE state_hash = $1"

log = structlog.get_logger()
WhoIs = Callable[[str, Secret], Awaitable[Identity]]
"""Says whose access token it is that somebody of Part3 consented to. Raises TryLater."""


class Consenting(Protocol):
    """Procore's OAuth endpoints, as far as a consent needs them."""

    def authorize_url(self, state: str, code_verifier: str) -> str:
        """Return where a person consents."""

    async def exchange(self, code: Secret, code_verifier: str) -> TokenAnswer:
        """Spend an authorization code."""

    async def revoke(self, token: Secret) -> None:
        """End a token pair. Raises TryLater."""


@dataclass(frozen=True, slots=True)
class Done:
    """The person is authorized; lead them on."""

    return_to: str


@dataclass(frozen=True, slots=True)
class AskWhich:
    """Another Procore account than before consented: the person says which one it shall be."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """Nothing was changed. `notice` is the account page's word for why."""

    notice: str  # denied, expired, failed, busy


@dataclass(frozen=True, slots=True)
class Misused:
    """The answer did not come from a request of this very session. Nothing was exchanged."""


Outcome: TypeAlias = Done | AskWhich | NotDone | Misused


class Consents:
    """Begins and finishes consents. All methods raise TryLater while Postgres is away."""

    def __init__(
        self,
        *,
        database: Postgres,
        store: GrantStore,
        oauth: Consenting,
        who_is: WhoIs,
        pending: PendingGrants,
        revoking: Revoking,
        issuer: str,
    ) -> None:
        self._database = database
        self._store = store
        self._oauth = oauth
        self._who_is = who_is
        self._pending = pending
        self._revoking = revoking
        self._issuer = issuer

    async def begin(self, visit: Visit, return_to: str) -> str:
        """Return where to send the person; `return_to` is a path of ours that was checked."""
        state = secrets.token_urlsafe(32)
        await self._database.execute(
            ADD_STATE,
            _hashed(state),
            visit.hashed,
            visit.user_id,
            self._issuer,
            return_to,
            STATE_LASTS_S,
        )
        return self._oauth.authorize_url(state, _verifier(visit, state))

    async def finish(
        self, visit: Visit, state: str, *, code: str | None, error: str | None
    ) -> Outcome:
        """Take what Procore's redirect brought back; each state is good once."""
        key = (_hashed(state), visit.hashed, visit.user_id, self._issuer)
        claimed = await self._database.fetchrow(CLAIM_STATE, *key)
        if claimed is None:
            return await self._other_tab(key)
        if error is not None or code is None:
            denied = error == "access_denied"
            log.info("consent.not_given", user_id=visit.user_id, denied=denied)
            outcome: Outcome = NotDone("denied" if denied else "failed")
        else:
            consent = _Consent(visit, state, Secret(code), claimed["return_to"], claimed["used_at"])
            outcome = await self._use(consent)
        await self._database.execute(END_STATE, key[0], _word_of(outcome))
        return outcome

    async def _other_tab(self, key: tuple[bytes, bytes, str, str]) -> Outcome:
        """Show the second of two tabs what came of the first; the code is never sent again."""
        for _ in range(round(AWAIT_OUTCOME_S / POLL_S)):
            row = await self._database.fetchrow(READ_STATE, *key)
            if row is None:
                return Misused()
            if not row["used"]:
                return NotDone("expired")
            match row["outcome"]:
                case None:
                    await asyncio.sleep(POLL_S)
                case "done":
                    return Done(row["return_to"])
                case "ask":
                    return AskWhich()
                case word:
                    return NotDone(word)
        return NotDone("expired")

    async def _use(self, consent: "_Consent") -> Outcome:
        user_id = consent.visit.user_id
        verifier = _verifier(consent.visit, consent.state)
        answer = await self._oauth.exchange(consent.code, verifier)
        if not isinstance(answer, Given):
            log.warning("consent.not_exchanged", user_id=user_id, kind=type(answer).__name__)
            return NotDone("failed")
        try:
            return await self._keep(consent, answer.pair)
        except TryLater as fault:
            log.warning("consent.not_kept", user_id=user_id, reason=fault.reason)
            await self._revoking.end_quietly(answer.pair)
            return NotDone("busy" if fault.reason == "rate_limited" else "failed")

    async def _keep(self, consent: "_Consent", pair: TokenPair) -> Outcome:
        visit = consent.visit
        expires_at = consent.claimed_at + timedelta(seconds=pair.lasts_s)
        identity = await self._who_is(visit.user_id, pair.access_token)
        grant = await self._store.read(visit.user_id)
        if grant is not None and grant.procore_user_id != identity.procore_user_id:
            held = Held(identity, pair, expires_at, consent.return_to)
            unwanted = await self._pending.hold(visit.user_id, visit.choice_key, held)
            await self._revoking.end_quietly(*unwanted)
            return AskWhich()
        sealed = self._store.seal(visit.user_id, pair, expires_at)
        entry = Entry(
            event="grant.authorized" if grant is None else "grant.reauthorized",
            actor=f"user:{visit.user_id}",
            user_id=visit.user_id,
            detail={"procore_user_id": identity.procore_user_id},
        )
        async with self._database.transaction() as database:
            await self._store.put(database, visit.user_id, identity, sealed)
            await write_entry(database, entry)
        log.info("grant.authorized", user_id=visit.user_id, again=grant is not None)
        return Done(consent.return_to)


@dataclass(frozen=True, slots=True)
class _Consent:
    """A code with the state it came for. `claimed_at` is the database's time."""

    visit: Visit
    state: str
    code: Secret
    return_to: str
    claimed_at: datetime


def _word_of(outcome: Outcome) -> str:
    match outcome:
        case Done():
            return "done"
        case AskWhich():
            return "ask"
        case NotDone(notice=notice):
            return notice
        case Misused():
            return "failed"


def _hashed(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()


def _verifier(visit: Visit, state: str) -> str:
    """Return 43 characters that only this session can know, as PKCE wants them."""
    digest = hashlib.sha256(f"pkce/{visit.secret.reveal()}/{state}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
