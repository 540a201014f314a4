"""How a grant comes into being here: what the consent page would have stored."""

from datetime import timedelta

from simulation import statements
from simulation.programs import ISSUER, RING, Sides
from token_service.grants.seal import Sealer
from token_service.grants.store import ACCESS, PUT_GRANT, REFRESH, fingerprint

assert statements.grants  # the answers to its statement are known


def put_grant(sides: Sides, user_id: str, procore_id: str, *, left_s: float | None = None) -> None:
    """Consent: a fresh pair in the person's row, of which some time may have gone by already."""
    lasts_s = sides.token_lasts_s
    pair = sides.login.give(procore_id, left_s or lasts_s)
    sealer = Sealer(RING)
    access = sealer.seal(pair.access_token, user_id, ACCESS)
    refresh = sealer.seal(pair.refresh_token, user_id, REFRESH)
    database = sides.database
    database.begin()
    database.run(
        PUT_GRANT,
        (
            user_id,
            procore_id,
            f"{user_id}@procore.example",
            user_id,
            ISSUER,
            access.blob,
            refresh.blob,
            access.key_id,
            fingerprint(pair.access_token),
            fingerprint(pair.refresh_token),
            lasts_s,
            sides.now() + timedelta(seconds=left_s or lasts_s),
        ),
    )
    database.commit()
