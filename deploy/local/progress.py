"""Says on the terminal how far a download is: one living line, or a line now and then in a log."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

_MEGABYTE = 1_000_000
_REPORT_EVERY_S = 2.0
_REDRAW_EVERY_S = 0.1


class Progress:
    """Counts files and bytes of one download; may be told of them from several threads."""

    def __init__(self, what: str, files: int, total_bytes: int) -> None:
        self._what = what
        self._files = files
        self._total_bytes = total_bytes
        self._files_done = 0
        self._bytes_done = 0
        self._living = sys.stderr.isatty()
        self._shown_at = 0.0
        self._began_at = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._show(force=True)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            took_s = time.monotonic() - self._began_at
            self._show(force=True, ending=f", done in {took_s:.0f} s\n")
        elif self._living:
            print(file=sys.stderr)

    def add_bytes(self, count: int) -> None:
        """Note that `count` more bytes are there."""
        with self._lock:
            self._bytes_done += count
        self._show()

    def add_file(self) -> None:
        """Note that one more file is whole."""
        with self._lock:
            self._files_done += 1
        self._show()

    def _show(self, *, force: bool = False, ending: str = "") -> None:
        now = time.monotonic()
        every_s = _REDRAW_EVERY_S if self._living else _REPORT_EVERY_S
        with self._lock:
            if not force and now - self._shown_at < every_s:
                return
            self._shown_at = now
            percent = min(100, 100 * self._bytes_done // max(1, self._total_bytes))
            line = (
                f"Downloading {self._what}: {percent:3d} %, "
                f"{self._bytes_done / _MEGABYTE:.1f} of {self._total_bytes / _MEGABYTE:.1f} MB, "
                f"{self._files_done} of {self._files} files"
            )
        start = "\r" if self._living else ""
        end = ending or ("" if self._living else "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)
