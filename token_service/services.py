"""Everything the token service is made of, put together from its settings."""

import asyncio
import secrets
import socket
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlsplit

from services.database_clock import DatabaseClock
from services.http_client import HttpClient
from services.metrics import Metrics
from services.part3.client import Part3
from services.postgres import Postgres
from services.procore.counting import CallMeasures
from services.procore.oauth import ProcoreOAuth
from services.procore.pacer import Priority
from services.procore.pacing import PostgresPace
from services.procore.turns import Turns
from token_service.audit import Audit
from token_service.audit_seals import AuditSeals
from token_service.connections.agreements import DispositionStore
from token_service.connections.endings import Endings
from token_service.connections.hooks import Hooks
from token_service.connections.procore_api import ProcoreApi
from token_service.connections.procore_directory import ProcoreDirectory, who_is
from token_service.connections.store import ConnectionStore
from token_service.grants.access import AccessTokens
from token_service.grants.consent import Consents
from token_service.grants.homecoming import Homecoming
from token_service.grants.incident import Revocations
from token_service.grants.pending import PendingGrants
from token_service.grants.people import Grants
from token_service.grants.refresh import Refresher, RefreshLimits
from token_service.grants.revoking import Revoking
from token_service.grants.seal import Sealer
from token_service.grants.spool import Spool
from token_service.grants.store import GrantStore
from token_service.housekeeping import Housekeeping
from token_service.internal.api import InternalApi
from token_service.internal.callers import Callers
from token_service.internal.rates import HandOutRates
from token_service.measures import Measures
from token_service.public.entry import Desk
from token_service.public.launch import LaunchPad
from token_service.public.oauth import AUTHORIZE_PATH, AuthorizeDesk
from token_service.public.ports import Ports
from token_service.public.render import Pages
from token_service.public.sessions import SessionStore
from token_service.settings import Settings

PAGE_PATIENCE_S = 2.0
"""Somebody looks at the page meanwhile; beyond this they are told when to come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that the ports and the program itself use."""

    refresher: Refresher
    tokens: AccessTokens
    connections: ConnectionStore
    desk: Desk
    pad: LaunchPad
    authorizing: AuthorizeDesk
    internal: InternalApi
    housekeeping: Housekeeping
    clock: DatabaseClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What is opened for the program's life and closed at its end.

    Attributes:
        ending: set when the program is asked to end; live streams then end too.
    """

    database: Postgres
    procore_http: HttpClient
    part3_http: HttpClient
    metrics: Metrics
    ending: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class _GrantParts:
    store: GrantStore
    refresher: Refresher
    tokens: AccessTokens
    pending: PendingGrants
    revoking: Revoking
    revocations: Revocations
    oauth: ProcoreOAuth
    audit: Audit
    issuer: str


def assemble(settings: Settings, outside: Outside) -> Services:
    """Put the service together; nothing is opened or sent here."""
    measures, calls = Measures(outside.metrics), CallMeasures(outside.metrics)
    clock = DatabaseClock(outside.database)
    grants = _grant_parts(settings, outside, measures, calls)
    people = Grants(outside.database, grants.store, grants.pending, grants.revoking)
    sessions = SessionStore(outside.database, settings.public_url)
    api = ProcoreApi(
        outside.procore_http,
        settings.procore_api_url,
        grants.tokens,
        Turns(PostgresPace(outside.database), patience_s=PAGE_PATIENCE_S),
        observe=calls.note,
    )
    connections = ConnectionStore(
        outside.database,
        Hooks(
            replace(api, priority=Priority.LOOK), settings.webhook_keys, settings.gateway_public_url
        ),
        Endings(outside.database, people),
    )
    dispositions = DispositionStore(outside.database)
    desk = Desk(
        pages=Pages(part3_origin=settings.part3_origin, login_url=settings.procore_login_url),
        ports=Ports(
            sessions=sessions,
            grants=people,
            connections=connections,
            dispositions=dispositions,
            part3=Part3(outside.part3_http, settings.part3_api_url, settings.part3_api_token),
            procore=ProcoreDirectory(api),
        ),
        database=outside.database,
        authorize_path=AUTHORIZE_PATH,
        ending=outside.ending,
    )
    return Services(
        refresher=grants.refresher,
        tokens=grants.tokens,
        connections=connections,
        desk=desk,
        pad=LaunchPad(settings.launch_keys, sessions, grants.audit, now=clock),
        authorizing=_authorizing(outside, grants, sessions, settings.procore_login_url, api),
        internal=InternalApi(
            tokens=grants.tokens,
            connections=connections,
            dispositions=dispositions,
            callers=Callers(settings.internal_keys, now=clock),
            measures=measures,
            rates=HandOutRates(measures.asked_often.add),
            revocations=grants.revocations,
        ),
        housekeeping=Housekeeping(
            store=grants.store,
            tokens=grants.tokens,
            grants=people,
            revocations=grants.revocations,
            connections=connections,
            sessions=sessions,
            measure=partial(measures.read, outside.database),
            read_clock=clock.read,
            seal_audit=AuditSeals(outside.database, settings.sealing_keys).seal,
        ),
        clock=clock,
    )


def _grant_parts(
    settings: Settings, outside: Outside, measures: Measures, calls: CallMeasures
) -> _GrantParts:
    issuer = urlsplit(settings.procore_login_url).hostname or ""
    sealer = Sealer(settings.sealing_keys)
    store = GrantStore(outside.database, sealer, issuer)
    audit = Audit(outside.database)
    oauth = ProcoreOAuth(
        login_url=settings.procore_login_url,
        client_id=settings.procore_client_id,
        client_secret=settings.procore_client_secret,
        redirect_uri=settings.callback_url,
        deadline_s=settings.refresh_deadline_s,
        pkce=settings.procore_pkce,
        observe=calls.note,
    )
    refresher = Refresher(
        store,
        oauth,
        Homecoming(store, Spool(settings.spool_folder), oauth, audit),
        audit,
        owner=f"{socket.gethostname()}/{secrets.token_hex(4)}",
        limits=RefreshLimits(
            deadline_s=settings.refresh_deadline_s, lease_s=settings.refresh_lease_s
        ),
        count=measures.refreshes.add,
    )
    return _GrantParts(
        store=store,
        refresher=refresher,
        tokens=AccessTokens(store, refresher, audit),
        pending=PendingGrants(outside.database, sealer),
        revoking=Revoking(store, oauth),
        revocations=Revocations(outside.database, sealer, oauth, issuer),
        oauth=oauth,
        audit=audit,
        issuer=issuer,
    )


def _authorizing(
    outside: Outside, grants: _GrantParts, sessions: SessionStore, login_url: str, api: ProcoreApi
) -> AuthorizeDesk:
    consents = Consents(
        database=outside.database,
        store=grants.store,
        oauth=grants.oauth,
        who_is=partial(who_is, api),
        pending=grants.pending,
        revoking=grants.revoking,
        issuer=grants.issuer,
    )
    return AuthorizeDesk(consents, sessions, grants.audit, issuer=login_url)
