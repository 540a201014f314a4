"""Bad input 61: who we call has to prove who they are, and nothing switches that off."""

import asyncio
import re
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.http_client import HttpClient
from services.http_client import NotSent as NotSentAtAll
from services.procore.oauth import NotSent, ProcoreOAuth
from services.settings import Secret

ROOT = Path(__file__).parents[2]
OURS = ("schemas", "services", "webhook_gateway", "token_service", "sync_worker", "connector")
SWITCHES = re.compile(
    r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|_create_unverified_context"
)


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "own.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_b61_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.read(100))
        except (OSError, ssl.SSLError):
            heard.append(b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        http = HttpClient("Procore")
        with pytest.raises(NotSentAtAll):
            await http.send("GET", f"{url}/rest", headers={"authorization": "Bearer x"})
        await http.close()
        oauth = ProcoreOAuth(
            login_url=url,
            client_id="c",
            client_secret=Secret("s"),
            redirect_uri="https://x.example/cb",
            deadline_s=10,
        )
        answer = await oauth.renew(Secret("the refresh token"))
        assert isinstance(answer, NotSent)  # and so it is not spent
    assert b"".join(heard) == b""


@pytest.mark.parametrize("package", OURS)
def test_b61_nothing_switches_the_check_of_certificates_off(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        found = SWITCHES.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found}"
