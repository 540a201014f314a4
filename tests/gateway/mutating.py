"""Bodies as broken or as hostile as a seed makes them, from those that the senders really send."""

import random

TOKENS = (
    b"null", b"NaN", b"-Infinity", b"1e400", b"-0", b"9" * 400, b"{", b"}", b"[", b"]", b",", b":",
    b'"', b"\\", b"\\ud800", b"\\u0000", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc0\xaf",
    b"\r\n", b"__proto__", b"$where", b"' OR 1=1 --", b"{{7*7}}", b"${jndi:ldap://x}", b"\x1b[31m",
    b"</script>", "\u202e".encode(), b"<!--", b"//", b"resource_id", b"project_id", b'"id":',
    b"\x1f\x8b", b"[" * 300, b'{"a":' * 60, b'{"resource_id":1,"resource_id":2}', b"9999-12-31",
)  # fmt: skip
MAX_BYTES = 60_000


def mutated(good: bytes, chance: random.Random) -> bytes:
    """Return a body after one to six changes; now and then it is still a good one."""
    body = good
    for _ in range(chance.randint(1, 6)):
        body = _changed(body, chance)[:MAX_BYTES]
    return body


def _changed(body: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randint(0, len(body)) for _ in range(2))
    token, noise = chance.choice(TOKENS), chance.randbytes(chance.randint(1, 9))
    return chance.choice(
        (
            body[:end],
            body[:start] + body[end:],
            body[:end] + body[start:],  # a piece twice
            body[:start] + noise + body[start:],
            body[:start] + token + body[start:],
            body[:start] + token + body[end:],
            body.replace(b'"', token, chance.randint(1, 3)),
            body[:start] + body[start:end].swapcase() + body[end:],
        )
    )
