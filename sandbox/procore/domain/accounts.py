"""OAuth: apps, authorization codes, token pairs. Refresh tokens and codes are good once.

Behaviours 1 to 8 of docs/stand-ins.md.
"""

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from sandbox.procore.domain import directory
from sandbox.procore.domain.people import Person
from sandbox.procore.errors import Refusal
from sandbox.procore.store import Kept
from sandbox.procore.world import World

CODE_LIFE = timedelta(minutes=10)


class OAuthRefusal(Refusal):
    """`{"error", "error_description"}` with OAuth's own codes."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status

    def body(self) -> Any:
        return {"error": self.error, "error_description": self.words[0]}


class App(Kept, frozen=True, kw_only=True):
    client_id: str
    client_secret: str
    name: str
    redirect_uris: tuple[str, ...] = ()
    service_user_id: int | None = None

    @property
    def key(self) -> str:
        return self.client_id


class Code(Kept, frozen=True, kw_only=True):
    hash: str
    client_id: str
    user_id: int
    redirect_uri: str
    created_at: datetime
    used: bool = False
    challenge: str | None = None  # PKCE's, S256

    @property
    def key(self) -> str:
        return self.hash


class Grant(Kept, frozen=True, kw_only=True):
    """One token pair; looked up by the hash of the access token."""

    hash: str
    client_id: str
    user_id: int
    created_at: datetime
    expires_in_s: int
    refresh_hash: str | None
    dead: bool = False

    @property
    def key(self) -> str:
        return self.hash

    @property
    def expires_at(self) -> datetime:
        return self.created_at + timedelta(seconds=self.expires_in_s)


class RefreshToken(Kept, frozen=True, kw_only=True):
    hash: str
    client_id: str
    user_id: int
    grant_hash: str
    spent: bool = False

    @property
    def key(self) -> str:
        return self.hash


def fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def register(world: World, app: App) -> App:
    world.store.put(app)
    return app


def app_for_authorize(world: World, client_id: str, redirect_uri: str) -> App:
    """The app, if the redirect address is one of its own, character for character."""
    app = world.store.get(App, client_id)
    if app is None:
        raise OAuthRefusal(
            "invalid_client", "Client authentication failed due to unknown client.", 401
        )
    if redirect_uri not in app.redirect_uris:
        raise OAuthRefusal("invalid_redirect_uri", "The redirect uri included is not valid.")
    return app


def authenticated_app(world: World, client_id: str, client_secret: str) -> App:
    """The app with that id and secret; raises OAuthRefusal `invalid_client` (401)."""
    app = world.store.get(App, client_id)
    if app is None or not secrets.compare_digest(
        app.client_secret.encode(), client_secret.encode()
    ):
        raise OAuthRefusal(
            "invalid_client",
            "Client authentication failed due to unknown client, no client authentication "
            "included, or unsupported authentication method.",
            world.switches.invalid_client_status,
        )
    return app


def issue_code(
    world: World, app: App, person: Person, redirect_uri: str, challenge: str | None = None
) -> str:
    """A code for that person, good once within ten minutes, with that redirect address."""
    code = secrets.token_urlsafe(32)
    world.store.put(
        Code(
            hash=fingerprint(code),
            client_id=app.client_id,
            user_id=person.id,
            redirect_uri=redirect_uri,
            created_at=world.now(),
            challenge=challenge or None,
        )
    )
    world.note_effect(None, "code.issued", "codes", fingerprint(code)[:12], app.client_id)
    return code


def redeem_code(
    world: World, app: App, code: str, redirect_uri: str, verifier: str = ""
) -> dict[str, Any]:
    """Exchange a code for a token pair; raises OAuthRefusal `invalid_grant`."""
    with world.transaction():
        found = world.store.get(Code, fingerprint(code))
        if (
            found is None
            or found.used
            or found.client_id != app.client_id
            or found.redirect_uri != redirect_uri
            or world.now() > found.created_at + CODE_LIFE
            or not _proven(world, found, verifier)
        ):
            raise _invalid_grant(world)
        world.store.put(replace(found, used=True))
        world.note_effect(None, "code.redeemed", "codes", found.hash[:12], str(found.user_id))
        return _issue(world, app, found.user_id, refreshable=True)


def _proven(world: World, code: Code, verifier: str) -> bool:
    """Whether PKCE asks for nothing, or the verifier is that of the challenge (S256)."""
    if world.switches.pkce == "ignored" or code.challenge is None:
        return True
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    return secrets.compare_digest(digest.rstrip(b"="), code.challenge.encode())


def redeem_refresh_token(world: World, app: App, token: str) -> dict[str, Any]:
    """Spend a refresh token for a new pair; the second to come gets `invalid_grant`."""
    with world.transaction():
        found = world.store.get(RefreshToken, fingerprint(token))
        if found is None or found.spent or found.client_id != app.client_id:
            raise _invalid_grant(world)
        world.store.put(replace(found, spent=True))
        if world.switches.refresh_ends_old_access_token:
            _kill(world, found.grant_hash)
        world.note_effect(
            None, "refresh_token.redeemed", "refresh_tokens", found.hash[:12], str(found.user_id)
        )
        return _issue(world, app, found.user_id, refreshable=True)


def issue_to_service_account(world: World, app: App) -> dict[str, Any]:
    """Client credentials: a token of the app's own account, without a refresh token."""
    with world.transaction():
        person = service_account(world, app)
        return _issue(world, app, person.id, refreshable=False)


def service_account(world: World, app: App) -> Person:
    """The person that an app acts as with client credentials; made at first use."""
    if app.service_user_id is not None:
        return directory.person(world, app.service_user_id)
    person = Person(
        id=world.next_id(),
        name=app.name,
        login=f"service-account+{app.client_id[:12]}@procore.com",
        password="",
        vendor=None,
        service_of_app=app.client_id,
    )
    world.store.put(person)
    world.store.put(replace(app, service_user_id=person.id))
    return person


def _issue(world: World, app: App, user_id: int, *, refreshable: bool) -> dict[str, Any]:
    access, refresh = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
    grant = Grant(
        hash=fingerprint(access),
        client_id=app.client_id,
        user_id=user_id,
        created_at=world.now(),
        expires_in_s=world.switches.expires_in_s,
        refresh_hash=fingerprint(refresh) if refreshable else None,
    )
    world.store.put(grant)
    answer: dict[str, Any] = {
        "access_token": access,
        "token_type": "bearer",
        "expires_in": grant.expires_in_s,
        "created_at": int(grant.created_at.timestamp()),
    }
    if refreshable:
        world.store.put(
            RefreshToken(
                hash=fingerprint(refresh),
                client_id=app.client_id,
                user_id=user_id,
                grant_hash=grant.hash,
            )
        )
        answer["refresh_token"] = refresh
    return answer


def _invalid_grant(world: World) -> OAuthRefusal:
    return OAuthRefusal(
        "invalid_grant",
        "The provided authorization grant is invalid, expired, revoked, does not match the "
        "redirection URI used in the authorization request, or was issued to another client.",
        world.switches.invalid_grant_status,
    )


def living_grant(world: World, access_token: str) -> Grant:
    """The grant of an access token; raises OAuthRefusal (401) when it is dead or expired."""
    found = world.store.get(Grant, fingerprint(access_token))
    if found is None or found.dead:
        raise OAuthRefusal("invalid_token", "The access token is invalid", 401)
    if world.now() >= found.expires_at:
        raise OAuthRefusal("invalid_token", "The access token expired", 401)
    return found


def revoke(world: World, app: App, token: str) -> None:
    """End the access and the refresh token of a pair, given either; unknown: nothing."""
    with world.transaction():
        refresh = world.store.get(RefreshToken, fingerprint(token))
        grant = world.store.get(Grant, refresh.grant_hash if refresh else fingerprint(token))
        if grant is None or grant.client_id != app.client_id:
            return
        _kill(world, grant.hash)
        if grant.refresh_hash and (found := world.store.get(RefreshToken, grant.refresh_hash)):
            world.store.put(replace(found, spent=True))
        world.note_effect(None, "token.revoked", "grants", grant.hash[:12], str(grant.user_id))


def _kill(world: World, grant_hash: str) -> None:
    found = world.store.get(Grant, grant_hash)
    if found is not None:
        world.store.put(replace(found, dead=True))


def revoke_all_of(world: World, user_id: int) -> int:
    """End every grant of a person, as an administrator may; returns how many."""
    with world.transaction():
        living = [g for g in world.store.every(Grant) if g.user_id == user_id and not g.dead]
        for grant in living:
            world.store.put(replace(grant, dead=True))
        for token in world.store.every(RefreshToken):
            if token.user_id == user_id and not token.spent:
                world.store.put(replace(token, spent=True))
    return len(living)
