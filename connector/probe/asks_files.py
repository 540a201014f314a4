"""Unknown 10: files of submittals, and the addresses that they are fetched from."""

from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import httpx2

from connector.probe.making import (
    Object,
    files_of,
    made_submittal,
    removed_submittal,
    submittal_now,
    uploaded,
)
from connector.probe.probing import Probe
from connector.probe.wire import Faulty
from services.procore.origins import Origins, origin_of

REDIRECTS = (301, 302, 303, 307, 308)
LEAST_LIFE_S = 60
UNIX_TIME = 10**9  # what is greater is a moment, not a number of seconds


async def ask_for_files(probe: Probe) -> None:
    """10: a file with a new submittal, by reference with a new and with a changed one."""
    sent = str((await made_submittal(probe, "a file sent with it", with_file=True))["id"])
    _say_kept(probe, "10.create_multipart", await submittal_now(probe, sent))
    upload_id = await uploaded(probe, probe.first)
    made = await made_submittal(probe, "a file by reference", upload_ids=[upload_id])
    by_reference = str(made["id"])
    before = await submittal_now(probe, by_reference)
    _say_kept(probe, "10.create_upload_ids", before)
    changed = await probe.write(
        f"add an uploaded file to submittal {by_reference}",
        probe.first,
        "PATCH",
        f"{probe.submittals}/{by_reference}",
        json={"submittal": {"upload_ids": [await uploaded(probe, probe.first)]}},
    )
    after = await submittal_now(probe, by_reference)
    more = files_of(after) > files_of(before)
    words = "yes" if more else f"no: {changed.status}, and it has {files_of(after)} files"
    probe.answers.say("10.update_upload_ids", words, as_assumed=more, evidence=(changed.line,))
    try:
        await _life_of_an_address(probe, await submittal_now(probe, sent), after)
    finally:
        for one in (sent, by_reference):
            await removed_submittal(probe, one)


def _say_kept(probe: Probe, key: str, record: Object) -> None:
    count = files_of(record)
    words = f"yes: it has {count}" if count else "no: it has none"
    assumed = None if key == "10.create_multipart" else bool(count)
    probe.answers.say(key, words, as_assumed=assumed)


async def _life_of_an_address(probe: Probe, *records: Object) -> None:
    """Read from the storage address itself until when it serves."""
    urls = [
        str(one["url"])
        for record in records
        for one in (
            *(record.get("attachments") or ()),
            *(record.get("associated_attachments") or ()),
        )
        if isinstance(one, dict) and one.get("url")
    ]
    if not urls:
        raise Faulty("no submittal kept a file whose address could be followed")
    origins = Origins(allowed=(), own=(), api=origin_of(probe.app.api_url))
    headers: dict[str, str] = {}
    if origins.takes_bearer(urls[0]):
        headers["authorization"] = f"Bearer {probe.first.access_token.reveal()}"
    try:
        answer = await probe.first.http.get(
            urls[0], headers=headers, follow_redirects=False, timeout=60
        )
    except httpx2.HTTPError as error:
        raise Faulty(f"the attachment's address: {type(error).__name__}") from error
    if answer.status_code not in REDIRECTS:
        raise Faulty(f"the attachment's address answers {answer.status_code}, not a redirect")
    life_s = seconds_served(answer.headers.get("location", ""), answer.headers.get("date", ""))
    if life_s is None:
        why = "the storage address does not say until when it serves; nobody waited for its end"
        probe.answers.leave("10.url_life", why)
        return
    enough = life_s >= LEAST_LIFE_S
    probe.answers.say("10.url_life", f"{life_s} s, by what it says itself", as_assumed=enough)


def seconds_served(address: str, date: str) -> int | None:
    """Return for how many seconds a presigned address serves; None when it does not say.

    `X-Amz-Expires` is a number of seconds, `Expires` a moment (Unix seconds); a moment is compared
    with the answer's own date.
    """
    query = parse_qs(urlsplit(address).query)
    for name in ("X-Amz-Expires", "Expires"):
        text = query.get(name, [""])[0]
        if not text.isdecimal():
            continue
        if int(text) < UNIX_TIME:
            return int(text)
        try:
            now = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S %Z")  # noqa: DTZ007 - GMT below
        except ValueError:
            return None
        return int(text) - int((now - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
    return None
