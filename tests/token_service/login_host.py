"""Procore's login host, small and strict: refresh tokens are single use, answers can get lost."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

CLIENT_ID, CLIENT_SECRET = "client-1", "client-secret-canary-9f2b"


@dataclass
class Account:
    procore_user_id: str
    login: str
    name: str = ""


@dataclass
class LoginHost:
    """What the tests look at: `redemptions` counts refresh tokens that were truly spent."""

    url: str = ""
    lasts_s: float | str | None = 5400
    delay_s: float = 0.0
    lose_answers: int = 0
    statuses: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    codes: dict[str, Account] = field(default_factory=dict)
    refresh_tokens: dict[str, Account] = field(default_factory=dict)
    access_tokens: dict[str, Account] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    redemptions: int = 0
    refusals: int = 0
    exchanges: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    refuses_revocations: bool = False
    spent: asyncio.Event = field(default_factory=asyncio.Event)
    forms: list[dict[str, str]] = field(default_factory=list)

    def code_for(self, account: Account) -> str:
        code = f"code-{secrets.token_hex(8)}"
        self.codes[code] = account
        return code

    def pair_for(self, account: Account) -> dict[str, object]:
        access, refresh = (f"{kind}-{secrets.token_hex(12)}" for kind in ("access", "refresh"))
        self.access_tokens[access] = self.refresh_tokens[refresh] = account
        self.pairs |= {access: refresh, refresh: access}
        self.issued += [access, refresh]
        answer: dict[str, object] = {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "bearer",
            "created_at": 1,
        }
        return answer if self.lasts_s is None else answer | {"expires_in": self.lasts_s}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length:")
            )
            form = {
                k: v[0] for k, v in parse_qs((await reader.readexactly(length)).decode()).items()
            }
            path = head.split(" ")[1]
            answer = self.revoke(form) if path == "/oauth/revoke" else await self.token(form)
            if answer is not None:
                status, body, headers = answer
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode()
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def token(self, form: dict[str, str]) -> tuple[int, bytes, dict[str, str]] | None:
        self.forms.append(form)
        if self.statuses:
            return self.statuses.pop(0)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 401, b'{"error":"invalid_client"}', {}
        if form["grant_type"] == "authorization_code":
            self.exchanges.append(form["code"])
            account = self.codes.pop(form["code"], None)
        else:
            account = self.refresh_tokens.pop(form["refresh_token"], None)
            self.redemptions += account is not None
        if account is None:
            self.refusals += 1
            return 400, b'{"error":"invalid_grant","error_description":"<b>spent</b>"}', {}
        body = json.dumps(self.pair_for(account)).encode()
        self.spent.set()
        await asyncio.sleep(self.delay_s)
        if self.lose_answers:
            self.lose_answers -= 1
            return None
        return 200, body, {"content-type": "application/json"}

    def revoke(self, form: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        token = form["token"]
        if self.refuses_revocations:
            return 503, b"", {}
        self.revoked.append(token)
        for one in (token, self.pairs.get(token, "")):
            self.refresh_tokens.pop(one, None)
            self.access_tokens.pop(one, None)
        return 200, b"{}", {}


@asynccontextmanager
async def serving_login() -> AsyncIterator[LoginHost]:
    host = LoginHost()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        server.close()
        await server.wait_closed()
