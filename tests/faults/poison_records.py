"""Records that no worker can read: one in a hundred, one in five, and nothing else.

They stay in the topic, so these come after what reads the topic from its beginning.
"""

import json

from connector.demo.worlds import PROJECT_ID
from schemas.notices import DEAD_LETTERS, PROCORE_NOTICES
from services.kafka import Publisher, read_all
from sync_worker.poison import MOST_POISON
from tests.faults.lab import WORKERS, Lab
from tests.faults.scenarios import scenario
from tests.faults.senders import event_of, post_procore_event
from tests.faults.workload import Item, Work


async def _poison(lab: Lab, key: bytes, times: int) -> None:
    """Write records to the notices' topic that no worker can read, as a wrong version might."""
    async with Publisher(lab.kafka_settings) as publisher:
        await lab.site.until("the publisher is connected", lambda: _is_usable(publisher))
        for one in range(times):
            value = b'{"version": 99, "number": %d}' % one
            await publisher.publish(PROCORE_NOTICES, key, value)
    lab.history.note("fault", "poison", times=times)
    lab.reached["poison"] += times


async def _is_usable(publisher: Publisher) -> bool:
    try:
        await publisher.check()
    except Exception:  # noqa: BLE001 - asked again
        return False
    return True


async def _buried(lab: Lab) -> int:
    return len(await _numbers_buried(lab))


async def _numbers_buried(lab: Lab) -> list[int]:
    """Return the numbers of the poison that was set aside, in the order of that."""
    values = [record.value or b"" async for record in read_all(lab.kafka_settings, DEAD_LETTERS)]
    return [json.loads(value)["number"] for value in values if b'"version": 99' in value]


@scenario(38, must=("poison",))
async def one_record_in_a_hundred_is_poison(work: Work) -> None:
    """It is set aside with its cause and keeps nobody waiting."""
    lab = work.lab
    before = await _buried(lab)
    item = await work.rfi("Poisoned")
    payload, _ = await event_of(work, item)
    for one in range(99):
        # version 4.0 of the payload has the ULID as its id
        assert await post_procore_event(work, item, id=f"{payload['id'][:-3]}{one:03d}") == 204
        if one == 50:
            await _poison(lab, PROJECT_ID.encode(), 1)
    await work.rename(item)
    await work.settled()
    await lab.site.until("it is set aside", lambda: _more_than(lab, before))


@scenario(38, must=("poison", "log intake.stopped"), allows=("intake.stopped",))
async def nothing_but_poison(work: Work) -> None:
    """More than may be set aside: the intake stops, keeps all, and goes on once told to."""
    lab = work.lab
    item, before = await work.rfi("Nothing but poison"), await _buried(lab)
    answered = await work.rfi("Answered beside poison")
    await _poison(lab, PROJECT_ID.encode(), 40)
    await work.rename(item)
    try:
        await _stops_and_goes_on(work, answered, before)
    finally:
        for name in WORKERS:
            _ = lab.stack.program(name).environment.pop("POISON_LIMIT", None)
            await lab.stack.program(name).restart()


async def _stops_and_goes_on(work: Work, answered: Item, before: int) -> None:
    lab = work.lab
    _ = await work.answer(answered)  # its topic is another one, and goes on
    await lab.site.until_return(work.answers[0].return_id, "delivered")
    stopped = (await _numbers_buried(lab))[before:]
    # Kafka chooses the batches; of the one that goes too far nothing is set aside
    if len(stopped) > MOST_POISON or stopped != list(range(len(stopped))):
        raise AssertionError(f"of 40 records that nobody can read, {stopped} were set aside")
    workers = [lab.stack.program(name) for name in WORKERS]
    for program in workers:
        program.environment["POISON_LIMIT"] = "0"
        await program.restart()
    await lab.site.until("all is set aside", lambda: _more_than(lab, before + 39))
    await work.settled()
    # on from where the intake stopped, each in its turn; a hand-over may set one aside once more
    at_last = (await _numbers_buried(lab))[before:]
    if list(dict.fromkeys(at_last)) != list(range(40)):
        raise AssertionError(f"of 40 records that nobody can read, {at_last} were set aside")


@scenario(38, must=("poison",))
async def one_record_in_five_is_poison(work: Work) -> None:
    """Fewer than may be set aside, between good ones of the same record."""
    lab = work.lab
    item, before = await work.rfi("A fifth is poison"), await _buried(lab)
    for _ in range(4):
        await _poison(lab, PROJECT_ID.encode(), 1)
        for _ in range(4):
            await work.rename(item)
    await work.settled()
    await lab.site.until("they are set aside", lambda: _more_than(lab, before + 3))


async def _more_than(lab: Lab, before: int) -> bool:
    return await _buried(lab) > before
