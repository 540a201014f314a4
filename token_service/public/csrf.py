"""Whether a form was sent from the visit's own page: by a token in it, and by what browsers add."""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

SAME_SITES = ("same-origin", "none")  # none: the person's own doing, not a page's


def is_own_form(expected: str, sent: str, headers: Mapping[str, str], own_origin: str) -> bool:
    """Tell whether a form came from our own page, in this visit.

    Args:
        expected: the visit's CSRF token.
        sent: the form's.
        headers: of the request; a browser that sends `Sec-Fetch-Site` is believed, else `Origin`.
        own_origin: of `PUBLIC_URL`.
    """
    if not hmac.compare_digest(expected.encode(), sent.encode("utf-8", "replace")):
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in SAME_SITES
    origin = headers.get("origin")
    if origin is None:
        return True  # an old browser; the token has proved it
    ours = {own_origin, f"{urlsplit(own_origin).scheme}://{headers.get('host', '')}"}
    return origin in ours
