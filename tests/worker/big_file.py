"""Copies one large file as a worker does, and says by how much this process grew meanwhile."""

import asyncio
import os
import resource
import sys
from pathlib import Path

from schemas.records import File
from services.http_client import HttpClient
from services.part3.client import Part3
from services.procore.client import Procore
from services.procore.files import Files
from services.procore.models import Attachment
from services.procore.origins import Origins
from services.settings import Secret
from sync_worker.inbound.mirror import Mirror, Reader
from sync_worker.inbound.partials import Partials
from sync_worker.inbound.stored import Records
from tests.procore_client.sides import PLACE, Side, caller_to


async def copy_one(side: str, folder: Path) -> int:
    """Return the bytes that the process grew by at its largest."""
    storage, part3_http = HttpClient("storage"), HttpClient("Part3")
    caller = caller_to(Side([]))
    origins = Origins((), (side,), "https://api.procore.test")
    procore = Procore(caller, Files(caller, storage, caller.tokens, origins))
    part3 = Part3(part3_http, side, Secret("token"))
    mirror = Mirror(procore, part3, _NoRecords(), Partials(folder))
    attachment = Attachment(id="7", name="set.pdf", url=f"{side}/big")
    await mirror.copy(Reader("prj_1", PLACE, "amy"), Attachment(id="1", name="s", url=f"{side}/s"))
    before = _peak_bytes()
    file = await mirror.copy(Reader("prj_1", PLACE, "amy"), attachment)
    grown = _peak_bytes() - before
    await storage.close()
    await part3_http.close()
    return grown if file.size else -1


class _NoRecords(Records):
    def __init__(self) -> None:
        """Nothing is asked of it."""

    async def note_file(self, project_id: str, file: File) -> None:
        """Forget it."""


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.stdout.write(str(asyncio.run(copy_one(sys.argv[1], Path(sys.argv[2])))))
    sys.stdout.flush()
    os._exit(0)
