"""Projects, companies, members and their invitations."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from sqlite3 import Row

import msgspec

from sandbox.part3.events import Outbox
from sandbox.part3.problems import Problem
from sandbox.part3.store import Store
from sandbox.part3.wire import Member, Project, Role

ADDRESS = re.compile(r"[^@\s<>\",;]+@[^@\s<>\",;]+\.[^@\s<>\",;]+", re.ASCII)
INVITATION_LASTS_S = 14 * 24 * 3600

ROLE_WORDS: dict[str, str] = {
    "general_contractor": "General Contractor",
    "prime_consultant": "Prime Consultant",
    "consultant": "Consultant",
    "subcontractor": "Subcontractor",
    "owner": "Owner",
    "viewer": "Viewer",
}

MEMBERS = """
SELECT u.id AS user_id, u.name, u.email, u.password, c.id AS company_id, c.name AS company, c.role,
       m.project_id, m.invited_at, m.joined_at
FROM members m JOIN users u ON u.id = m.user_id JOIN companies c ON c.id = m.company_id
WHERE m.project_id = ?
"""


class CannotAdd(Exception):  # noqa: N818  named for what happened
    """Why a company or a member cannot be added, in words for the form."""


@dataclass(frozen=True, kw_only=True)
class Invitation:
    project_id: str
    project_name: str
    user_id: str
    name: str
    email: str
    has_account: bool


def one_line(text: str) -> str:
    """Without line breaks and double blanks: names go into mail headers."""
    return " ".join(text.split())


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(6)}"


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class People:
    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    # projects

    def project(self, project_id: str) -> Project:
        """The project with its team; raises Problem 404."""
        row = self._store.one("SELECT * FROM projects WHERE id = ?", project_id)
        if row is None:
            raise Problem(404, f"Part3 has no project {project_id}.")
        team = self._store.all(f"{MEMBERS} ORDER BY c.created_at, m.created_at", project_id)
        return Project(
            id=row["id"],
            name=row["name"],
            number=row["number"],
            archived=bool(row["archived"]),
            team=tuple(_member(member) for member in team),
        )

    def projects_of(self, user_id: str) -> list[Row]:
        return self._store.all(
            "SELECT p.*, c.name AS company, c.role FROM projects p"
            " JOIN members m ON m.project_id = p.id JOIN companies c ON c.id = m.company_id"
            " WHERE m.user_id = ? ORDER BY p.archived, p.name",
            user_id,
        )

    def archive(self, project_id: str) -> None:
        with self._store.transaction():
            if self._store.run(
                "UPDATE projects SET archived = 1 WHERE id = ? AND NOT archived", project_id
            ):
                self._outbox.add("project.archived", project_id=project_id)

    # people

    def user(self, user_id: str) -> Row | None:
        return self._store.one("SELECT * FROM users WHERE id = ?", user_id)

    def user_by_email(self, email: str) -> Row | None:
        return self._store.one("SELECT * FROM users WHERE email = ?", email.strip().casefold())

    def member(self, project_id: str, user_id: str) -> Member | None:
        row = self._store.one(f"{MEMBERS} AND u.id = ?", project_id, user_id)
        return _member(row) if row else None

    # companies and their members

    def companies(self, project_id: str) -> list[Row]:
        return self._store.all(
            "SELECT * FROM companies WHERE project_id = ? ORDER BY created_at", project_id
        )

    def company(self, project_id: str, company_id: str) -> Row | None:
        return self._store.one(
            "SELECT * FROM companies WHERE project_id = ? AND id = ?", project_id, company_id
        )

    def members(self, project_id: str) -> list[Row]:
        return self._store.all(f"{MEMBERS} ORDER BY m.created_at", project_id)

    def add_company(self, project_id: str, name: str, role: str) -> str:
        name = one_line(name)
        if not name:
            raise CannotAdd("Enter the company's name.")
        if role not in ROLE_WORDS:
            raise CannotAdd("Choose the company's role.")
        company_id = new_id("com")
        added = self._store.run(
            "INSERT INTO companies (id, project_id, name, role, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            company_id,
            project_id,
            name,
            role,
            self._store.now(),
        )
        if not added:
            raise CannotAdd(f"{name} is on this project already.")
        return company_id

    def add_member(self, project_id: str, company_id: str, *, name: str, email: str) -> str:
        """Returns the user id, which a person keeps across projects; raises CannotAdd."""
        name, email = one_line(name), email.strip().casefold()
        if not name:
            raise CannotAdd("Enter the person's name.")
        if not ADDRESS.fullmatch(email):
            raise CannotAdd("Enter an e-mail address such as name@company.com.")
        with self._store.transaction():
            user_id = self.user_id_of(email, name)
            added = self._store.run(
                "INSERT INTO members (project_id, user_id, company_id, created_at)"
                " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                project_id,
                user_id,
                company_id,
                self._store.now(),
            )
            if not added:
                raise CannotAdd(f"{email} is on this project's team already.")
            self._outbox.add("member.changed", project_id=project_id, user_id=user_id)
        return user_id

    def user_id_of(self, email: str, name: str) -> str:
        """The id of the person with that e-mail address, made when there is none."""
        if known := self.user_by_email(email):
            return str(known["id"])
        user_id = new_id("usr")
        self._store.run(
            "INSERT INTO users (id, email, name, created_at) VALUES (?, ?, ?, ?)",
            user_id,
            email.strip().casefold(),
            name,
            self._store.now(),
        )
        return user_id

    def remove_member(self, project_id: str, user_id: str) -> None:
        with self._store.transaction():
            if self._store.run(
                "DELETE FROM members WHERE project_id = ? AND user_id = ?", project_id, user_id
            ):
                self._outbox.add("member.changed", project_id=project_id, user_id=user_id)

    # invitations

    def invite(self, project_id: str, user_id: str) -> str:
        """Returns the token of a new invitation; only its hash is kept."""
        token = secrets.token_urlsafe(32)
        self._store.run(
            "INSERT INTO invitations (token_sha256, project_id, user_id, expires_at)"
            " VALUES (?, ?, ?, ?)",
            hashed(token),
            project_id,
            user_id,
            self._store.now() + INVITATION_LASTS_S * 1_000_000,
        )
        return token

    def note_invited(self, project_id: str, user_id: str) -> None:
        self._store.run(
            "UPDATE members SET invited_at = ? WHERE project_id = ? AND user_id = ?",
            self._store.now(),
            project_id,
            user_id,
        )

    def invitation(self, token: str) -> Invitation | None:
        """What an invitation's link is for; None when unknown, used or too old."""
        row = self._store.one(
            "SELECT i.project_id, p.name AS project_name, u.id, u.name, u.email, u.password"
            " FROM invitations i JOIN projects p ON p.id = i.project_id"
            " JOIN users u ON u.id = i.user_id"
            " JOIN members m ON m.project_id = i.project_id AND m.user_id = i.user_id"
            " WHERE i.token_sha256 = ? AND i.used_at IS NULL AND i.expires_at > ?",
            hashed(token),
            self._store.now(),
        )
        if row is None:
            return None
        return Invitation(
            project_id=row["project_id"],
            project_name=row["project_name"],
            user_id=row["id"],
            name=row["name"],
            email=row["email"],
            has_account=row["password"] is not None,
        )

    def accept(self, token: str, *, name: str | None = None, password: str | None = None) -> bool:
        """Use an invitation up; name and password (hashed) make the account of a new person."""
        with self._store.transaction():
            invitation = self.invitation(token)
            if invitation is None:
                return False
            now = self._store.now()
            self._store.run(
                "UPDATE invitations SET used_at = ? WHERE token_sha256 = ?", now, hashed(token)
            )
            if not invitation.has_account:
                self._store.run(
                    "UPDATE users SET name = ?, password = ? WHERE id = ?",
                    one_line(name or invitation.name),
                    password,
                    invitation.user_id,
                )
            self._store.run(
                "UPDATE members SET joined_at = coalesce(joined_at, ?)"
                " WHERE project_id = ? AND user_id = ?",
                now,
                invitation.project_id,
                invitation.user_id,
            )
            self._outbox.add(
                "member.changed", project_id=invitation.project_id, user_id=invitation.user_id
            )
        return True


def _member(row: Row) -> Member:
    role: Role = msgspec.convert(row["role"], Role)
    return Member(
        user_id=row["user_id"],
        name=row["name"],
        email=row["email"],
        company=row["company"],
        role=role,
    )
