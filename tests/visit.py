"""A served folder and a tab on it, for the tests that open pages."""

import contextlib
import threading
from pathlib import Path

from book._ext.progress import exercise_places

ROOT = Path(__file__).resolve().parents[1]
SLOW_MS = 180_000  # starting Python on a busy machine


@contextlib.contextmanager
def serving(server):
    """The address, without a slash at its end, at which a server of http.server answers while the block runs."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def drawn(figure):
    """A live figure, made: it waits until it comes near the reader's eyes."""
    figure.scroll_into_view_if_needed()
    figure.locator(".fig-say").wait_for()
    return figure


def laid_out(page):
    """A page of which every part is laid out, also those far below: it has its true height and all of its words."""
    page.evaluate("document.documentElement.classList.remove('in-parts')")
    return page


class Visit:
    """One tab on the served book, cut off from everything else."""

    def __init__(self, browser, site, **options):
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.set_default_timeout(SLOW_MS)
        self.page = self.context.new_page()
        self.site, self.outside, self.complaints, self.loaded = site, [], [], []
        self.context.route(lambda url: not url.startswith((site, "blob:", "data:")), self.refuse)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.on("response", lambda answer: self.loaded.append(answer.url))

    def refuse(self, route):
        self.outside.append(route.request.url)
        route.abort()

    def open(self, name):
        self.page.goto(f"{self.site}/{name}.html", wait_until="load")
        return laid_out(self.page)

    def exercise(self, topic, name):
        """The exercise's box on its page, with its editor open."""
        self.open(exercise_places(ROOT, topic)[name][0])
        box = self.page.locator(f'.exercise[data-name="{name}"]')
        box.evaluate("card => { card.open = true; }")
        box.locator(".cm-content").wait_for()
        return box

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()
        if not any(error):
            self.assert_clean()

    def assert_clean(self):
        outside, complaints, self.outside, self.complaints = self.outside, self.complaints, [], []
        assert not outside, f"requests leave the site: {outside}"
        assert not complaints, f"console errors: {complaints}"
