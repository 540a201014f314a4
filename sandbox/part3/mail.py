"""Project invitations by e-mail."""

import asyncio
import smtplib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, make_msgid

from markupsafe import escape

SENDER = ("Part3", "no-reply@part3.example")
TIMEOUT_S = 10


class NotSent(Exception):  # noqa: N818  named for what happened
    """The mail server did not take a message."""


def invitation_mail(
    *, name: str, email: str, project: str, inviter: str, company: str, role: str, link: str
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = formataddr(SENDER)
    message["To"] = formataddr((name, email))
    message["Subject"] = f"{inviter} invited you to {project} on Part3"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain="part3.example")
    first = name.split(maxsplit=1)[0] if name.strip() else "Hello"
    message.set_content(
        f"Hello {first},\n\n"
        f"{inviter} has invited you to join the project {project} on Part3\n"
        f"as {role} for {company}.\n\n"
        f"Accept the invitation:\n{link}\n\n"
        "The link works once and for 14 days. If you did not expect it, leave it alone.\n"
    )
    message.add_alternative(
        "<html><body>"
        f"<p>Hello {escape(first)},</p>"
        f"<p><strong>{escape(inviter)}</strong> has invited you to join the project"
        f" <strong>{escape(project)}</strong> on Part3 as {escape(role)} for {escape(company)}.</p>"
        f'<p><a href="{escape(link)}">Accept invitation</a></p>'
        "<p>The link works once and for 14 days. If you did not expect it, leave it alone.</p>"
        "</body></html>",
        subtype="html",
    )
    return message


class Mailer:
    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def send(self, message: EmailMessage) -> None:
        """Raises NotSent, with words for the person who pressed the button."""
        await asyncio.to_thread(self._send, message)

    def _send(self, message: EmailMessage) -> None:
        try:
            with smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S) as smtp:
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"the mail server did not take it ({error})") from error
