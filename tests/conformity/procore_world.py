"""A Procore with one of everything that its contract has a path for, and who calls it."""

import re
from pathlib import Path
from typing import Any

import msgspec

from sandbox.procore import seeding
from sandbox.procore.control import AppOrder, register
from sandbox.procore.domain import (
    accounts,
    directory,
    files,
    hooks,
    responses,
    rfi_replies,
    rfis,
    submittals,
)
from sandbox.procore.domain.people import Actor, Project
from sandbox.procore.domain.responses import Answer
from sandbox.procore.domain.rfi_fields import RfiFields
from sandbox.procore.domain.submittal_fields import RowFields, SubmittalFields
from sandbox.procore.world import World
from tests.conformity.asking import Headers
from tests.sandbox.procore.site import (
    ARCHITECT,
    CLIENT_ID,
    CLIENT_SECRET,
    ENGINEER,
    MANAGER,
    REDIRECT,
    TRADE,
    small_spec,
)


class Populated:
    """The world, and what is in it by the names of the contract's parameters."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        order = AppOrder(
            client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uris=(REDIRECT,)
        )
        register(self.world, order)
        seeding.build(self.world, small_spec())
        self.project = self.world.store.every(Project)[0]
        self.people = {
            email: found.id
            for email in (MANAGER, ARCHITECT, ENGINEER, TRADE)
            if (found := directory.person_by_login(self.world, email)) is not None
        }
        self.rfi_ids, self.reply_ids = self._rfis()
        self.submittal_ids, self.row_ids = self._submittals()
        self.hook_id, self.trigger_id = self._hook()
        change = RfiFields(
            subject="Anchor conflict at grid D, again"
        )  # so that there is a delivery
        rfis.edit(self.world, self._actor(MANAGER), self.project.id, self.rfi_ids[0], change)
        announced = files.Announced(name="answer.pdf", content_type=None, size=None)
        upload = files.announce(self.world, self._actor(MANAGER), self.project.id, announced)
        self.upload = files.receive_whole(self.world, upload.uuid, b"%PDF-1.7 an answer").uuid

    def _actor(self, email: str) -> Actor:
        return Actor(user_id=self.people[email], app=CLIENT_ID)

    def _rfis(self) -> tuple[list[int], list[int]]:
        fields = RfiFields(
            subject="Anchor conflict at grid D",
            question="<p>Move the anchor east?</p>",
            manager_id=self.people[MANAGER],
            assignee_ids=(self.people[ARCHITECT], self.people[ENGINEER]),
        )
        kinds = (
            fields,
            msgspec.structs.replace(fields, private=True),
            msgspec.structs.replace(fields, draft=True),
        )
        place = (self.world, self._actor(MANAGER), self.project.id)
        made = [rfis.create(*place, kind).id for kind in kinds]
        answer = rfi_replies.ReplyFields(body="<p>Yes.</p>")
        _, reply = rfi_replies.add(
            self.world, self._actor(ARCHITECT), self.project.id, made[0], answer
        )
        gone = rfis.create(*place, fields).id
        rfis.recycle(*place, gone)
        return [*made, gone], [reply.id]

    def _submittals(self) -> tuple[list[int], list[int]]:
        people = ((ARCHITECT, ENGINEER), (TRADE,))
        fields = SubmittalFields(
            number="1",
            title="Shop drawings",
            manager_id=self.people[MANAGER],
            steps=tuple(
                tuple(RowFields(user_id=self.people[email]) for email in step) for step in people
            ),
        )
        place = (self.world, self._actor(MANAGER), self.project.id)
        made = submittals.create(*place, fields)
        reviewed = next(r.id for r in self.project.responses if r.considered == "approved")
        responses.respond(*place, made.id, made.rows[0].id, Answer(response_id=reviewed))
        bare = submittals.create(*place, SubmittalFields(number="2", title="Without workflow"))
        return [made.id, bare.id], [row.id for row in made.rows[1:]]

    def _hook(self) -> tuple[int, int]:
        scope = hooks.Scope(company_id=self.project.company_id, project_id=self.project.id)
        place = (self.world, self._actor(MANAGER), scope)
        hook = hooks.create(
            *place,
            hooks.HookFields(
                payload_version="v4.0",
                namespace="part3-connector",
                destination_url="https://example.com/x",
            ),
        )
        wanted = hooks.TriggerFields(resource_name="RFIs", event_type="update")
        return hook.id, hooks.add_trigger(*place, hook.id, wanted).id

    def callers(self) -> list[Headers]:
        """An Admin, two Standard users, and somebody whose token nobody gave out."""
        app = self.world.store.get(accounts.App, CLIENT_ID)
        assert app is not None
        tokens = []
        for email in (MANAGER, ARCHITECT, TRADE):
            person = directory.person(self.world, self.people[email])
            code = accounts.issue_code(self.world, app, person, REDIRECT)
            tokens.append(accounts.redeem_code(self.world, app, code, REDIRECT)["access_token"])
        return [{"Authorization": f"Bearer {token}"} for token in (*tokens, "made-up")]

    def values_of(self, path: str, name: str) -> list[Any] | None:
        """What a parameter may name that is there; wrong cases bring what is not."""
        place = self.project
        text = path.startswith("/rest/v2.0/")
        known: dict[str, list[Any]] = {
            "Procore-Company-Id": [str(place.company_id)],
            "project_id": [place.id],
            "company_id": [place.company_id],
            "rfi_id": self.rfi_ids[:1],
            "submittal_id": self.submittal_ids[:1],
            "hook_id": [self.hook_id],
            "trigger_id": [self.trigger_id],
            "uuid": [self.upload],
            "id": self._ids(path),
        }
        found = known.get(name)
        return [str(one) for one in found] if found and text else found

    def _ids(self, path: str) -> list[int]:
        if "/replies/" in path:
            return self.reply_ids
        if "/submittal_approvers/" in path:
            return self.row_ids
        return self.rfi_ids if re.search(r"/rfis/\{id\}", path) else self.submittal_ids

    def in_bodies(self) -> dict[str, list[Any]]:
        """What bodies name: people, files, statuses and responses of this project."""
        people = list(self.people.values())
        events = {"resource_name": list(hooks.PROJECT_RESOURCES), "event_type": list(hooks.ACTIONS)}
        company = directory.company(self.world, self.project.company_id)
        statuses = [s.id for s in company.statuses]
        return {
            **events,
            **dict.fromkeys(PEOPLE, people),
            "type": [t.name for t in company.types],
            "status_id": statuses,
            "submittal_log_status_id": statuses,
            "submittal_response_id": [r.id for r in self.project.responses],
            "upload_ids": [self.upload],
            "source_rfi_header_id": self.rfi_ids,
            "source_submittal_log_id": self.submittal_ids,
            "client_id": [CLIENT_ID],
            "client_secret": [CLIENT_SECRET],
            "destination_url": ["https://example.com/x", "http://127.0.0.1:9/x"],
        }


PEOPLE = (
    "rfi_manager_id",
    "assignee_ids",
    "required_assignee_ids",
    "distribution_ids",
    "received_from_login_information_id",
    "submittal_manager_id",
    "received_from_id",
    "distribution_member_ids",
    "login_information_id",
    "recipient_ids",
    "user_id",
)
