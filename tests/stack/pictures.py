"""Pictures of the main moments, as the README shows them.

They are taken when SCREENSHOTS names a folder: `SCREENSHOTS=docs/images make test-stack`.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.async_api import Page

PHONE = {"width": 390, "height": 844}


def _folder() -> Path | None:
    named = os.environ.get("SCREENSHOTS")
    return Path(named) if named else None


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where pictures go; nowhere, and at no cost, when nobody asked for them."""

    folder: Path | None = field(default_factory=_folder)

    async def take(
        self,
        page: Page,
        name: str,
        *,
        scheme: Literal["light", "dark"] = "light",
        phone: bool = False,
    ) -> None:
        """Save what the window shows as `<name>.png`."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        size = page.viewport_size
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if phone:
            await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        await page.mouse.move(0, 0)
        await page.screenshot(
            path=self.folder / f"{name}.png", animations="disabled", caret="hide", scale="css"
        )
        await page.emulate_media(color_scheme="light")
        if size:
            await page.set_viewport_size(size)
