"""Every page of the built book in a real browser: two widths, light and dark.

Skipped where the book is not built (`make book` builds it) or no Chromium is found.
"""

import functools
import gzip
import http.server
import re
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from chrome import needs_browser

BOOK = Path(__file__).parents[1] / "_build" / "html"
PAGES = sorted(
    path.relative_to(BOOK).as_posix()
    for path in BOOK.rglob("*.html")
    if BOOK / "_static" not in path.parents  # templates of the theme, not pages
)
WIDTHS = {"desktop": 1280, "phone": 390}
NARROWER = (1100, 320)  # a tablet on its side; a desktop's screen at four times its size
PAPER = {"width": 718, "height": 1047}  # A4 with margins of a centimetre

pytestmark = [
    *needs_browser,
    pytest.mark.skipif(not PAGES, reason="the book is not built: run `make book`"),
]

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Elements that stick out of the page and have no scroll bar of their own around them.
STICKING_OUT = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = e => e && e !== document.body &&
    (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(e).overflowX)
     || scrolls(e.parentElement));
  return [...document.querySelectorAll('article *')]
    .filter(e => e.getBoundingClientRect().right > width + 1 && !scrolls(e))
    .map(e => e.outerHTML.slice(0, 120));
}"""
WORDS = ("title", "description")
CUT = """() => [...document.querySelectorAll('article :is(pre, div, table)')]
  .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth
    && getComputedStyle(e).overflowX !== 'visible')
  .map(e => e.textContent.slice(0, 120))"""
# Headings whose link would stick out of the page, were their line full.
NO_ROOM = """() => [...document.querySelectorAll('article :is(h1, h2, h3, h4) > .headerlink')]
  .filter(e => {
    const heading = e.parentElement.getBoundingClientRect().right;
    const free = parseFloat(getComputedStyle(e.parentElement).paddingRight);
    const link = e.offsetWidth && e.offsetWidth + parseFloat(getComputedStyle(e).marginLeft);
    return heading - free + link > document.documentElement.clientWidth;
  })
  .map(e => e.parentElement.textContent)"""
UNRENDERED = """() => [...document.querySelectorAll('.math')]
  .filter(e => !e.querySelector('mjx-container') || e.querySelector('[data-mjx-error]'))
  .map(e => e.textContent.slice(0, 120))"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    """Where the built book is served: an address of this machine."""
    handler = functools.partial(QuietHandler, directory=BOOK)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module", params=WIDTHS)
def context(request, browser):
    """A reader with a screen of one width; the cache is kept from page to page."""
    viewport = {"width": WIDTHS[request.param], "height": 844}
    context = browser.new_context(viewport=viewport, color_scheme="light")
    yield context
    context.close()


class Visit:
    """A page opened until it is quiet, with what the console and the network said meanwhile."""

    def __init__(self, context, url):
        self.complaints, self.requests = [], []
        self.page = context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url, wait_until="networkidle")
        self.page.evaluate("() => window.MathJax?.startup?.promise")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.page.close()

    def _note(self, message):
        asked_by_itself = message.location["url"].endswith("/favicon.ico")  # index.html names none
        if message.type in ("error", "warning") and not asked_by_itself:
            self.complaints.append(message.text)

    def foreign(self, address):
        own = (address, "data:", "blob:")
        return [url for url in self.requests if not url.startswith(own)]


@pytest.mark.parametrize("path", PAGES)
def test_page(path, context, address):
    with Visit(context, address + path) as visit:
        for scheme in ("light", "dark"):
            visit.page.emulate_media(color_scheme=scheme)
            visit.page.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
            assert visit.page.evaluate(OVERFLOW) <= 0, scheme
            assert visit.page.evaluate(STICKING_OUT) == [], scheme
        assert visit.page.evaluate(UNRENDERED) == []
        assert visit.complaints == []
        assert visit.foreign(address) == []
        visit.page.emulate_media(media="print")
        visit.page.set_viewport_size(PAPER)
        assert visit.page.evaluate(CUT) == []  # paper has no scroll bars
        visit.page.emulate_media(media="screen")
        for width in NARROWER:
            visit.page.set_viewport_size({"width": width, "height": 800})
            assert visit.page.evaluate(OVERFLOW) <= 0, width
            assert visit.page.evaluate(NO_ROOM) == [], width


def test_mathematics_is_rendered(context, address):
    """Without it the check for unrendered formulas would hold of a book that has none."""
    with Visit(context, address + "book/notation.html") as visit:
        assert visit.page.locator("mjx-container").count() > 20
        assert visit.page.locator("mjx-container[tabindex]").count() == 0  # the Tab key passes by


def test_the_arrows_of_the_contents_say_what_they_open(context, address):
    with Visit(context, address + "book/notation.html") as visit:
        arrows = visit.page.locator(".bd-sidenav summary")
        names = [arrow.get_attribute("aria-label") for arrow in arrows.all()]
        assert len(names) == 3 and all(re.fullmatch("Pages of .+", name) for name in names)


def test_a_find_is_shown_with_its_text(context, address):
    html = '<div role="main"><div id="jb-print-docs-body">contents</div><p>text</p></div>'
    with Visit(context, address + "search.html") as visit:
        assert visit.page.evaluate("(html) => Search.htmlToText(html)", html).strip() == "text"


@pytest.mark.parametrize("path", [path for path in PAGES if path.startswith(("book/", "note"))])
def test_a_page_says_what_it_is_about(path):
    head = (BOOK / path).read_text("utf-8").split("</head>")[0]
    title, text = (re.search(rf'"og:{name}" content="(.*?)">', head) for name in WORDS)
    assert title[1] and 40 < len(text[1]) and "\\" not in text[1]
    assert f'name="description" content="{text[1]}"' in head


def test_paper_is_light(browser, address):
    context = browser.new_context(color_scheme="dark")
    with Visit(context, address + "book/notation.html") as visit:
        theme = "document.documentElement.dataset.theme"
        visit.page.evaluate(f"addEventListener('beforeprint', () => window.printed = {theme})")
        assert visit.page.evaluate(theme) == "dark"
        visit.page.pdf()
        assert visit.page.evaluate("[window.printed, " + theme + "]") == ["light", "dark"]
    context.close()


def test_without_scripts_a_page_has_the_colours_of_the_light_one(browser, address):
    colours = """[['.bd-header', 'backgroundColor'], ['h1', 'color'], ['article a', 'color']]
      .map(([part, name]) => getComputedStyle(document.querySelector(part))[name])"""
    found = []
    for scripts in (True, False):
        context = browser.new_context(color_scheme="light", java_script_enabled=scripts)
        with Visit(context, address + "book/notation.html") as visit:
            found.append(visit.page.evaluate(colours))
        context.close()
    assert found[0] == found[1]


def test_a_page_opens_from_a_file(context):
    with Visit(context, (BOOK / "book" / "notation.html").as_uri()) as visit:
        assert visit.complaints == []
        assert visit.foreign("file://") == []
        assert visit.page.evaluate(UNRENDERED) == []


VIEW = 'type="application/vnd.jupyter.widget-view+json"'
EXPLORERS = [path for path in PAGES if VIEW in (BOOK / path).read_text("utf-8")]
LIMIT = 1_500_000  # bytes of a page with explorers and of all that it loads, but for MathJax
COMPRESSED = (".png", ".woff2")


def weight(path: Path) -> int:
    """Bytes that travel for a file: compressed, unless it is so already."""
    contents = path.read_bytes()
    return len(contents if path.suffix in COMPRESSED else gzip.compress(contents, 6))


@pytest.mark.parametrize("path", EXPLORERS)
def test_a_page_with_explorers_is_light(path, browser, address):
    context = browser.new_context()  # with nothing in its cache
    with Visit(context, address + path) as visit:
        local = {url for url in visit.requests if url.startswith(address)}
        names = {unquote(urlsplit(url).path).lstrip("/") or "index.html" for url in local}
    context.close()
    weights = {name: weight(BOOK / name) for name in names if "tex-svg" not in name}
    assert path in weights and "_static/host.js" in weights
    assert sum(weights.values()) <= LIMIT, sorted(weights.items(), key=lambda item: -item[1])[:9]


def started(visit) -> bool:
    """Whether each explorer of the page stands in its picture's place, within ten seconds."""
    visit.page.wait_for_function(
        "!document.querySelector('.explorer:not(.explorer-live)')", timeout=10_000
    )
    return visit.page.locator(".explorer-live").count() > 0


@pytest.mark.parametrize("path", EXPLORERS)
def test_explorers_start_over_http_and_from_a_file(path, context, address):
    for place in (address, BOOK.as_uri() + "/"):
        with Visit(context, place + path) as visit:
            assert started(visit)
            assert visit.complaints == []
            assert visit.foreign(place) == []


@pytest.mark.parametrize("path", EXPLORERS)
def test_the_text_comes_before_the_weights(path):
    page = (BOOK / path).read_text("utf-8")
    state = page.index('type="application/vnd.jupyter.widget-state+json"')
    assert state > page.rindex('class="headerlink"') and "<h2>" not in page[state:]


def test_only_pages_with_explorers_load_their_host():
    hosted = [path for path in PAGES if "host.js" in (BOOK / path).read_text("utf-8")]
    assert hosted == EXPLORERS


def test_every_page_carries_the_icons_in_use_and_no_others():
    static = BOOK / "_static"
    assert sum(map(weight, static.rglob("*.woff2"))) < 20_000
    assert weight(static / "scripts" / "fontawesome.js") < 100


NOTEBOOKS = [path for path in PAGES if path.startswith("notebooks/")]


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_can_be_run_and_kept(path):
    """Below the title; the theme's own button leads to the same place."""
    page = (BOOK / path).read_text("utf-8")
    (line,) = re.findall(r'<p class="page-badges">(.*?)</p>', page, re.S)
    colab, download = re.findall(r'href="(.*?)"', line)
    assert page.count(f'href="{colab}"') == 2
    assert (BOOK / path).parent.joinpath(download).resolve().suffix == ".ipynb"
    assert (BOOK / path).parent.joinpath(download).is_file()


def test_other_pages_have_no_badges():
    others = [path for path in PAGES if path not in NOTEBOOKS]
    assert [path for path in others if "page-badges" in (BOOK / path).read_text("utf-8")] == []
