import asyncio
import contextlib
import smtplib
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sandbox.part3.app import build_app
from sandbox.part3.mail import Mailer, NotSent, invitation_mail
from sandbox.part3.seeding import Seed, seed
from tests.sandbox.part3.conftest import PROJECT, TOKEN, Part3Api, a_settings, bound, free_port
from tests.sandbox.part3.programs import environment, running, start


@contextlib.asynccontextmanager
async def inbox_program(data: Path, smtp_port: int) -> AsyncIterator[httpx2.AsyncClient]:
    port = str(free_port())
    env = environment(
        SANDBOX_INBOX_DATA=str(data), SANDBOX_INBOX_PORT=port, SMTP_PORT=str(smtp_port)
    )
    async with running("sandbox.inbox", f"http://127.0.0.1:{port}", env) as client:
        yield client


def an_invitation(link: str = "http://part3.test/invitations/abc") -> EmailMessage:
    return invitation_mail(
        name="Dana Whitfield",
        email="dana@northside.example",
        project="Harbour Street Library",
        inviter="Maya Lindqvist",
        company="Northside & Søns <Builders>",
        role="General Contractor",
        link=link,
    )


async def messages(inbox: httpx2.AsyncClient, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await inbox.get("/api/messages", params=params)).json()[
        "messages"
    ]
    return found


async def test_an_invitation_arrives_with_its_link(tmp_path: Path) -> None:
    smtp_port = free_port()
    async with inbox_program(tmp_path, smtp_port) as inbox:
        await Mailer("127.0.0.1", smtp_port).send(an_invitation())
        (mail,) = await messages(inbox)
        assert mail["to"] == ["dana@northside.example"]
        assert mail["subject"] == "Maya Lindqvist invited you to Harbour Street Library on Part3"
        assert mail["links"] == ["http://part3.test/invitations/abc"]
        assert "Northside & Søns <Builders>" in mail["text"]
        assert "Northside &amp; Søns &lt;Builders&gt;" in mail["html"]
        page = (await inbox.get(f"/messages/{mail['id']}")).text
        assert '<a href="http://part3.test/invitations/abc"' in page
        assert "Accept invitation" in page
        one = (await inbox.get(f"/api/messages/{mail['id']}")).json()
        assert one == mail


async def test_messages_come_newest_first_and_outlive_a_restart(tmp_path: Path) -> None:
    smtp_port = free_port()
    async with inbox_program(tmp_path, smtp_port):
        for link in ("http://x.test/1", "http://x.test/2"):
            await Mailer("127.0.0.1", smtp_port).send(an_invitation(link))
    async with inbox_program(tmp_path, smtp_port) as inbox:
        found = await messages(inbox)
        assert [mail["links"] for mail in found] == [["http://x.test/2"], ["http://x.test/1"]]
        assert await messages(inbox, to="nobody@x.example") == []
        page = (await inbox.get("/")).text
        assert page.count("invited you to") == 2


async def test_a_message_with_html_that_would_act_is_shown_tamed(tmp_path: Path) -> None:
    smtp_port = free_port()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x.test", "b@x.test", "<b>Hi</b>"
    message.set_content("<p onclick='x()'>Hello<script>x()</script></p>", subtype="html")
    async with inbox_program(tmp_path, smtp_port) as inbox:
        await asyncio.to_thread(_send_plainly, smtp_port, message)
        (mail,) = await messages(inbox)
        page = (await inbox.get(f"/messages/{mail['id']}")).text
        assert "Hello" in page
        assert "onclick" not in page
        assert "<script>x()" not in page
        assert "&lt;b&gt;Hi" in page
        raw = await inbox.get(f"/messages/{mail['id']}/raw")
        assert raw.headers["content-type"].startswith("text/plain")
        assert "onclick" in raw.text
        assert (await inbox.get("/messages/99")).status_code == 404


def _send_plainly(port: int, message: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.send_message(message)


async def test_a_mail_server_that_is_not_there_is_said() -> None:
    with pytest.raises(NotSent, match="did not take it"):
        await Mailer("127.0.0.1", free_port()).send(an_invitation())


async def test_from_part3_to_the_inbox_to_the_account(tmp_path: Path) -> None:
    smtp_port = free_port()
    app, house = build_app(a_settings(tmp_path / "part3", smtp_port=smtp_port))
    seed(house, Seed())
    async with (
        inbox_program(tmp_path / "inbox", smtp_port) as inbox,
        bound(app, Authorization=f"Bearer {TOKEN}") as client,
    ):
        order = {
            "project_id": PROJECT,
            "company": "Northside Builders",
            "role": "general_contractor",
            "name": "Dana Whitfield",
            "email": "dana@northside.example",
            "invite": True,
        }
        assert (await Part3Api(client).sandbox("members", **order)).status_code == 201
        (mail,) = await messages(inbox, to="dana@northside.example")
        answer = await client.get(mail["links"][0])
        assert "Create account" in answer.text
    house.store.close()


async def test_the_inbox_refuses_a_port_that_is_none() -> None:
    process = start("sandbox.inbox", environment(SMTP_PORT="smtp"))
    _, err = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 78
    assert b"SMTP_PORT" in err
