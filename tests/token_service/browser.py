"""A person's browser as far as cookies, forms and redirects go."""

import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx2

from services.service_tokens import issue_launch_token
from tests.token_service.conftest import Running
from tests.token_service.login_host import Account, LoginHost

ACCOUNT = "/account/integrations"


@dataclass
class Browser:
    running: Running
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self._send("GET", path, None, headers)

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
        return await self._send("POST", path, form, headers)

    async def _send(
        self, method: str, path: str, form: dict[str, str] | None, headers: dict[str, str]
    ) -> httpx2.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.running.public.request(method, path, data=form, headers=sent)
        self.running.public.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer

    async def launch(
        self, user_id: str, to: str = ACCOUNT, jti: str | None = None
    ) -> httpx2.Response:
        token = issue_launch_token(
            self.running.settings.launch_keys,
            user_id,
            user_id.title(),
            f"{user_id}@x.example",
            jti or secrets.token_hex(8),
        )
        return await self.get(f"/launch?token={token}&next={to}")

    async def csrf_token(self) -> str:
        pages = [(await self.get(path)).text for path in (ACCOUNT, f"{ACCOUNT}?ask=disconnect")]
        found = re.search(r'name="csrf_token" value="([^"]+)"', "".join(pages))
        assert found, pages
        return found[1]

    async def press_authorize(self, to: str = "") -> dict[str, str]:
        """Press Authorize; return the query that Procore's consent page is opened with."""
        form = {"csrf_token": await self.csrf_token()} | ({"next": to} if to else {})
        answer = await self.post(f"{ACCOUNT}/authorize", form)
        assert answer.status_code == 303, answer.text
        parts = urlsplit(answer.headers["location"])
        assert parts.path == "/oauth/authorize"
        return {name: values[0] for name, values in parse_qs(parts.query).items()}

    async def consent(self, login: LoginHost, account: Account, to: str = "") -> httpx2.Response:
        query = await self.press_authorize(to)
        code = login.code_for(account)
        return await self.get(f"/oauth/procore/callback?code={code}&state={query['state']}")
