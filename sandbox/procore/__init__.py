"""A stand-in for Procore that a person can use: login, pages, REST, webhooks, faults on demand.

Layers, each importing only those below it:

- `pages/`, `rest/`, `oauth/`, `control.py`: HTTP. They read a request, call the domain, present.
- `domain/`: every operation, with permissions, rules and webhook events.
- `world.py` (store, clock, switches, faults, files), `store.py` (SQLite).

**For whoever writes pages.** A `World` and an `Actor` go into every call; operations are plain
synchronous functions, atomic, and change nothing when they raise. `Actor(user_id=...)` without an
app is a person at a page. Each refusal is a `sandbox.procore.errors.Refusal`: `.status`, `.words`
(sentences for an alert) and `.fields` (sentences by field name).

| what | call |
| --- | --- |
| sign in | `directory.sign_in(world, login, password) -> Person or None` |
| look up | `directory.person/company/project/membership/members/companies_of/projects_of` |
| levels | `directory.level_of/at_least/require(world, actor, project, "rfi" ...)` |
| RFIs | `rfis.listed/show/create/edit/open_draft/close/reopen/advance_ball/forward_for_review` |
| | `rfis.recycle/retrieve`, `rfis.listed(..., deleted=True)`, `rfis.next_number` |
| RFI fields | `rfi_fields.RfiFields(subject=..., question="<p>..</p>", incoming=(Incoming(..),))` |
| who may | `rfi_access.manages/may_edit/may_reply/may_mark_official(world, actor, project, rfi)` |
| replies | `rfi_replies.add(world, actor, project_id, rfi_id, ReplyFields(body=...))` |
| | `rfi_replies.mark_official(..., reply_id, official=True)`, `delete`, `shown` |
| submittals | `submittals.listed/show/create/edit/open_draft/close/revise/revisions` |
| | `submittals.delete/restore` |
| | `submittals.next_number`, `submittals.status_of(world, submittal).name/.status` |
| their fields | `submittal_fields.SubmittalFields(number=..., steps=((RowFields(user_id=..),),))` |
| workflow | `responses.respond(world, actor, project_id, submittal_id, row_id, Answer(...))` |
| | `responses.add_reviewer/replace_approver/remove_approver/resume/send_back` |
| distribute | `distributing.close_and_distribute(..., DistributionFields(...))` |
| files | `world.files.read(attachment.sha256) -> bytes`; new ones as `files.Incoming` |
| project | `project.settings/responses/spec_sections/locations/packages` |
| | `directory.change_project(world, project)` writes a changed one |
| vocabulary | `company.statuses/types/vendors`; `directory.status/vendor/spec_section/choice` |
| app installed | `directory.set_installed(world, company_id=..., app=client_id, installed=True)` |

A field left out of `RfiFields` or `SubmittalFields` stays as it is. Forms carry no idempotency:
the same form sent twice makes two RFIs, as in Procore.
"""
