"""What the token service tells the workers over its internal port."""

from datetime import datetime
from typing import Literal

import msgspec

ConnectionState = Literal["active", "paused", "disconnected"]


class ProjectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a project's general contractor chose on its Integrations page; all off at first.

    Kept as JSON with the connection: one that a program does not know is ignored by it.
    """

    send_emails: bool = False  # Procore mails its own notifications of a delivered response
    show_drafts: bool = False  # Procore's drafts are mirrored too, as Upcoming


class RemovalsConfirmed(msgspec.Struct, frozen=True, kw_only=True):
    """That a burst of removals in Procore is meant, by the word of one person."""

    until: datetime  # of what was found gone by then
    at: datetime
    user_id: str
    name: str


class Connection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A Part3 project tied to one Procore company and project.

    What stands behind `options` is on the wire only where it says something. `connected_at` is no
    later than the `updated_at` that first told of this connection: an `updated_at` before it is one
    of an earlier connection.
    """

    project_id: str  # Part3's
    state: ConnectionState
    procore_company_id: str
    procore_project_id: str
    owner_user_id: str  # the Part3 user whose grant reads
    updated_at: datetime
    options: ProjectOptions = ProjectOptions()
    removals_confirmed: RemovalsConfirmed | None = None
    unlinked: bool = False  # disconnected as the wrong Procore project: what came from it goes
    connected_at: datetime | None = None  # None: an older token service does not say


class ConnectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of connections, oldest change first."""

    items: tuple[Connection, ...]
    next_cursor: str | None = None


class AccessTokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for one person's access token.

    `rejected` is the SHA-256 (hex) of an access token that got a 401: the service refreshes once,
    and only if the token it holds still has that hash.
    """

    user_id: str
    rejected: str | None = None


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """A short-lived access token. Never holds a refresh token."""

    access_token: str
    expires_at: datetime
    procore_user_id: str

    def __repr__(self) -> str:
        """Keep the token out of logs and tracebacks."""
        return f"AccessToken(procore_user_id={self.procore_user_id!r}, ***)"


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has authorized, and since when."""

    user_id: str
    authorized_at: datetime


class Authorizations(msgspec.Struct, frozen=True, kw_only=True):
    """Which of some people have a working authorization, oldest first."""

    items: tuple[Authorization, ...]


class AuthorizationsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask which of some people have a working authorization."""

    user_ids: tuple[str, ...]


class RevocationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Revoke people's grants in an incident: everybody's, or those of one person or company."""

    by: str  # which operator
    reason: str  # those whose grants end read it
    user_id: str | None = None  # Part3's
    company_id: str | None = None  # Procore's: of all who read or return in its projects
    act: bool = False  # false: only count


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """What an order to revoke covers, or has covered."""

    grants: int
    unchosen: int  # accounts that people came back with and have not decided on
    projects: int  # connected, and owned by who gave one of these grants
    waiting: int  # revoked here, by this or earlier orders, and Procore is yet to be told
    revoked: bool = False


class GrantProblem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457 problem with a code of ours."""

    title: str
    status: int
    code: str  # needs_reauthorization, not_authorized, or a newer word
    detail: str = ""
