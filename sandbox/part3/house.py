"""Everything the stand-in is made of, put together once."""

from sandbox.part3.events import Outbox
from sandbox.part3.faults import Faults
from sandbox.part3.files import Files
from sandbox.part3.launch import Launcher
from sandbox.part3.ledger import Ledger
from sandbox.part3.mail import Mailer
from sandbox.part3.notes import TeamNotes
from sandbox.part3.people import People
from sandbox.part3.records import Records
from sandbox.part3.returns import Returns
from sandbox.part3.sessions import Sessions
from sandbox.part3.settings import Settings
from sandbox.part3.store import Store


class House:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.data)
        self.faults = Faults()
        self.ledger = Ledger(self.store)
        self.outbox = Outbox(self.store, self.ledger)
        self.files = Files(self.store, self.ledger, max_bytes=settings.max_file_bytes)
        self.records = Records(self.store, self.ledger, self.files)
        self.people = People(self.store, self.outbox)
        self.returns = Returns(self.store, self.ledger, self.outbox, page_size=settings.page_size)
        self.notes = TeamNotes(self.store)
        self.sessions = Sessions(self.store, secure=settings.public_url.startswith("https://"))
        self.launcher = Launcher(settings.launch_key, settings.connector_url)
        self.mailer = Mailer(settings.smtp_host, settings.smtp_port)
