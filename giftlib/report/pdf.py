"""The page on paper, as a file, where a browser is there to print it."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from giftlib.api import GiftlibError

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def print_pdf(page: Path) -> Path:
    """Print the page to a PDF beside its folder. Raises GiftlibError, which says how else, if no browser can."""
    folder = page.resolve().parent  # nothing comes into it that its manifest does not list
    pdf, otherwise = folder.with_name(f"{folder.name}.pdf"), f"open {page} in any browser and print it to a file"
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise GiftlibError(f"no Chromium, Chrome or Edge is found for --pdf; {otherwise}")
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        new = Path(profile, "new.pdf")
        options = ["--headless", "--no-pdf-header-footer", f"--user-data-dir={profile}", f"--print-to-pdf={new}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container, where it refuses otherwise
            options.append("--no-sandbox")
        try:
            subprocess.run([browser, *options, page.resolve().as_uri()], capture_output=True, timeout=300, check=True)
            return Path(shutil.move(new, pdf))
        except (OSError, subprocess.SubprocessError):
            raise GiftlibError(f"{browser} did not print the page; {otherwise}") from None
