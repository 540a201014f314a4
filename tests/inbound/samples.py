"""A show of an RFI and a list item of a submittal, as Procore answers them."""

import copy
from pathlib import Path
from typing import Any

import msgspec

from schemas.records import File, Record
from services.procore.reading import read_rfi, read_submittal
from sync_worker.inbound.translate import translate_rfi, translate_submittal

SAMPLES = Path(__file__).parent.parent / "samples"
RFI_SHOW: dict[str, Any] = msgspec.json.decode((SAMPLES / "procore_rfi_show.json").read_bytes())
SUBMITTAL_ITEM: dict[str, Any] = msgspec.json.decode(
    (SAMPLES / "procore_submittal_list_item.json").read_bytes()
)


def a_file(attachment_id: str, name: str = "plan.pdf") -> File:
    return File(
        sha256=attachment_id.rjust(64, "a"),
        name=name,
        content_type="application/pdf",
        size=10,
        procore_id=attachment_id,
    )


def files_of(*attachment_ids: str) -> dict[str, File]:
    return {one: a_file(one) for one in attachment_ids}


def rfi_record(
    *, files: tuple[str, ...] = (), return_ids: dict[str, str] | None = None, **fields: Any
) -> Record:
    """Translate the sample with some fields of its JSON replaced."""
    rfi = read_rfi(copy.deepcopy(RFI_SHOW) | fields, full=True)
    return translate_rfi(rfi, files_of(*files), return_ids or {})


def submittal_record(*, files: tuple[str, ...] = (), **fields: Any) -> Record:
    """Translate the sample with some fields of its JSON replaced."""
    submittal = read_submittal(copy.deepcopy(SUBMITTAL_ITEM) | fields)
    return translate_submittal(submittal, files_of(*files))
