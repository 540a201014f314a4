"""Downloads beforehand what servers and tests need, and says so; at once when all is there.

Usage: python -m deploy.local.prepare [--browser]
"""

import sys
import threading

from deploy.local.browser import BrowserMissing, ensure_chromium
from deploy.local.jars import DownloadFailed, kafka_class_path
from deploy.local.promtool import ensure_promtool
from deploy.local.runs import DATA_FOLDER
from deploy.local.servers import named_kafka


def main(arguments: list[str]) -> int:
    """Return 0 when everything is there, 1 after saying what could not be had."""
    try:
        if not named_kafka():
            kafka_class_path(DATA_FOLDER / "cache", threading.Event())
        if "--browser" in arguments:
            ensure_chromium()
            ensure_promtool()
    except (DownloadFailed, BrowserMissing) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
