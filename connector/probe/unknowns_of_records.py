"""Unknowns of RFIs and submittals: 1, 2, 10, 11 and 14."""

from connector.probe.unknown_parts import NOTHING, Part

SWEEP = "sync_worker/sweeping.py: lists what changed every SWEEP_S, whatever events came"
FILES = "sync_worker/outbound/carrying.py: uploads a return's files before it is delivered"
RESPOND = "services/procore/client.py: Procore.respond"
READ_BACK = "sync_worker/outbound/read_back.py: reads what arrived from the record, not the answer"
BACK = "sync_worker/sweep_store.py: to_bury names what came back out of a recycle bin too"

RECORD_PARTS = (
    Part(
        key="1.reply",
        asks="Which events does a reply to an RFI raise?",
        assumed="RFI Replies/create, with an RFIs/update or without one",
        rests_on=(
            "services/procore/hooks.py: TRIGGERS, the hook's subscriptions",
            "sync_worker/consume.py: a reply's event lists the RFIs that changed",
        ),
    ),
    Part(
        key="1.rfi_forward",
        asks="Does forwarding an RFI for review raise RFIs/update?",
        assumed="yes; without it the new ball in court shows only after the next sweep",
        rests_on=(SWEEP,),
    ),
    Part(
        key="1.rfi_review",
        asks="Which events does the reply of the person raise whom an RFI was forwarded to?",
        assumed="RFI Replies/create, with an RFIs/update or without one",
        rests_on=("sync_worker/consume.py: a reply's event lists the RFIs that changed",),
    ),
    Part(
        key="1.response",
        asks="Does an approver's response raise Submittals/update?",
        assumed="yes; without it a response shows only after the next sweep",
        rests_on=(
            "services/procore/hooks.py: TRIGGERS, which has nothing for responses",
            SWEEP,
        ),
    ),
    Part(
        key="1.submittal_forward",
        asks="Does forwarding a submittal to a reviewer raise Submittals/update?",
        assumed="yes; without it the new row shows only after the next sweep",
        rests_on=(SWEEP,),
    ),
    Part(
        key="1.submittal_review",
        asks="Does the answer of the person whom a submittal was forwarded to raise an update?",
        assumed="yes; without it the answer shows only after the next sweep",
        rests_on=(SWEEP,),
    ),
    Part(
        key="2.body",
        asks="What is the body of a successful answer in an approver's row?",
        assumed="an object or an array: it is not read",
        rests_on=(RESPOND, READ_BACK),
    ),
    Part(
        key="2.parallel",
        asks="In a step of two required approvers, does the ball wait for the second?",
        assumed="yes: who has answered loses the ball, the other keeps it",
        rests_on=("sync_worker/outbound/turns.py: whose turn it is",),
    ),
    Part(
        key="2.on_behalf",
        asks="May an Admin's token answer in another person's row?",
        assumed="yes, but it is never done: nobody answers in another's name",
        rests_on=("sync_worker/outbound/check.py: the row must be the author's own",),
    ),
    Part(
        key="2.upload_ids",
        asks="Do upload_ids of an approver's answer become its files?",
        assumed="yes",
        rests_on=(RESPOND, FILES, READ_BACK),
    ),
    Part(
        key="2.mail",
        asks="Does send_emails=false keep Procore from mailing anybody of the response?",
        assumed="yes: a project chooses whether Procore mails",
        rests_on=(RESPOND, "schemas/connections.py: ProjectOptions.send_emails"),
    ),
    Part(
        key="10.create_multipart",
        asks="Is a file that is sent with a new submittal kept?",
        assumed="perhaps not: the mirror makes no submittals",
        rests_on=("sandbox/procore/switches.py: attachments_at_create",),
    ),
    Part(
        key="10.create_upload_ids",
        asks="Do upload_ids of a new submittal become its files?",
        assumed="yes: the mirror makes no submittals",
        rests_on=("sandbox/procore/switches.py: upload_ids_on_submittals",),
    ),
    Part(
        key="10.update_upload_ids",
        asks="Do upload_ids of a changed submittal become its files?",
        assumed="yes: the mirror changes no submittals",
        rests_on=("sandbox/procore/switches.py: upload_ids_on_submittals",),
    ),
    Part(
        key="10.url_life",
        asks="For how long does the storage address behind an attachment serve?",
        assumed="at least a minute: it is asked for anew at each fetch and used at once",
        rests_on=("services/procore/files.py: follows the redirect and fetches",),
    ),
    Part(
        key="11.exclusive",
        asks="Can an RFI have several official replies?",
        assumed="either: each reply's own flag is mirrored",
        rests_on=("services/procore/reading.py: reads the flag of each reply",),
    ),
    Part(
        key="11.ball",
        asks="Does a reply by the API move the ball in court?",
        assumed="either: the ball is mirrored as it stands and never moved by us",
        rests_on=("sync_worker/inbound/translate.py: ball in court", NOTHING),
    ),
    Part(
        key="14.retrieve",
        asks="Which event does an RFI raise that is taken out of the recycle bin?",
        assumed="RFIs/update or RFIs/create",
        rests_on=(BACK,),
    ),
    Part(
        key="14.submittal_delete",
        asks="Which event does deleting a submittal raise?",
        assumed="Submittals/delete",
        rests_on=("sync_worker/consume.py: what an event says was deleted is gone",),
    ),
    Part(
        key="14.submittal_restore",
        asks="Can a submittal be restored by the API, and which event does that raise?",
        assumed="Submittals/update or Submittals/create, or not served",
        rests_on=(BACK,),
    ),
    Part(
        key="14.package",
        asks="Does moving a submittal to another package raise Submittals/update?",
        assumed="yes; without it the new package shows only after the next sweep",
        rests_on=(SWEEP,),
    ),
)
