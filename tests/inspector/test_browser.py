"""The inspector in a real Chromium: what a person does, and what another site cannot.

Needs chromium, chromedriver and selenium; scripts/browser_tests.sh installs them. With MEMORY_MGR_SCREENSHOTS=folder
the pages are photographed, for docs/images.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from urllib.parse import urlencode

import pytest

from memory_mgr import MemoryConfig, ShortTermConfig, SyncMemoryManager
from memory_mgr.cli.transcripts import read_transcripts

from .conftest import EVIL, Inspector, serving

pytest.importorskip(
    "selenium", reason="NO SELENIUM: the inspector was not tried in a browser; scripts/browser_tests.sh"
)

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("NO BROWSER: the inspector was not tried in one; scripts/browser_tests.sh", allow_module_level=True)

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --hide-scrollbars"""
PHOTOGRAPHED = {"browse", "search", "context"}
SHOTS = os.environ.get("MEMORY_MGR_SCREENSHOTS")
WIDTHS = {"desktop": (1100, 800, "light"), "phone": (390, 800, "dark")}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A fresh profile."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    """The demo's conversations, and a namespace with an evil name and evil memories."""
    path = tmp_path_factory.mktemp("store")
    config = MemoryConfig(path=path, namespace="demo", short_term=ShortTermConfig(max_messages=8))
    with SyncMemoryManager(config) as memory:
        with resources.as_file(resources.files("memory_mgr.cli") / "data/demo.jsonl") as file:
            for conversation in read_transcripts(file):
                for name, message in conversation.turns:
                    memory.conversation(name).add_message(message)
        memory.conversation("big-changes").working.set("guest", "Tiago, 6 June")
        memory.add_memory("The bus leaves at nine", id="bus")
        memory.add_memory("The bus leaves at nine.", id="twin")
        memory.scoped(EVIL).add_memory(EVIL, id=EVIL, source=EVIL, speaker=EVIL, metadata={EVIL: EVIL})
    yield from serving(config)


@pytest.fixture
def at(browser: Chrome, inspected: Inspector) -> Chrome:
    """The browser, come in by the link, with nothing in its log."""
    browser.get(inspected.link)
    browser.get(inspected.origin)
    browser.get_log("browser")
    return browser


def _press(browser: Chrome, text: str) -> None:
    browser.find_element(
        By.XPATH, f"//button[normalize-space()='{text}'] | //summary[normalize-space()='{text}']"
    ).click()


def _fill(browser: Chrome, name: str, text: str) -> None:
    field = next(f for f in browser.find_elements(By.NAME, name) if f.is_displayed())
    field.clear()
    field.send_keys(text)


def _wait_for(browser: Chrome, text: str) -> None:
    """Until the page says so; a click returns before the next page is there."""

    def says_so(driver: Chrome) -> bool:
        return text in driver.find_element(By.TAG_NAME, "body").text

    WebDriverWait(browser, 20, ignored_exceptions=[WebDriverException]).until(says_so, f"{text!r} is not on the page")


def test_a_person_looks_around_and_changes_things(at: Chrome, inspected: Inspector) -> None:
    """From the link to a namespace, a search, a memory; supersede, edit, prune, undo, forget; only by clicking."""
    at.find_element(By.LINK_TEXT, "demo").click()
    _wait_for(at, "superseded and expired too")
    at.find_element(By.LINK_TEXT, "Search").click()
    _wait_for(at, "At most")
    _fill(at, "q", "when does the bus leave?")
    _press(at, "Search")
    _wait_for(at, "Best first.")
    first = at.find_element(By.CSS_SELECTOR, ".cards .card")
    assert "The bus leaves at nine" in first.text
    at.get(f"{inspected.origin}/memory?ns=demo&id=bus")
    _press(at, "Supersede")
    _fill(at, "content", "The bus leaves at ten")
    at.find_element(By.CSS_SELECTOR, "form[action='/memory/supersede'] button").click()
    _wait_for(at, "The new memory is below")
    _wait_for(at, "The bus leaves at nine")
    _press(at, "Edit")
    _fill(at, "content", "The bus leaves at half past ten")
    _press(at, "Save")
    _wait_for(at, "Saved.")
    assert inspected.memory.search_memory("bus half past ten")[0].content == "The bus leaves at half past ten"
    at.find_element(By.LINK_TEXT, "Upkeep").click()
    _wait_for(at, "Hides what is least")
    _fill(at, "quota", "3")
    at.find_element(By.XPATH, "//h2[.='Prune']/..//button").click()
    _wait_for(at, "would change")
    left = len(inspected.memory.list_memories("long_term", limit=None))
    _press(at, "Do it")
    _wait_for(at, "Pruned:")
    assert len(inspected.memory.list_memories("long_term", limit=None)) < left
    _press(at, "Undo all of it")
    _wait_for(at, "taken back")
    assert len(inspected.memory.list_memories("long_term", limit=None)) == left
    at.get(f"{inspected.origin}/memory?ns=demo&id=twin")
    _press(at, "Forget")
    _press(at, "Forget this memory")
    _wait_for(at, "deleted for good")
    assert [e for e in at.get_log("browser") if e["level"] == "SEVERE"] == []


def test_evil_memories_run_nothing(at: Chrome, inspected: Inspector) -> None:
    """No dialog, no element of theirs, and the policy had nothing to stop."""
    where = urlencode([("ns", "demo"), ("ns", EVIL)])
    memory = urlencode({"id": EVIL, "q": EVIL, "source": EVIL})
    for page in (
        "/",
        f"/browse?{where}",
        f"/memory?{where}&{memory}",
        f"/search?{where}&{memory}",
        f"/context?{where}&{memory}",
    ):
        at.get(inspected.origin + page)
        assert EVIL.split("<img", maxsplit=1)[0] in at.find_element(By.TAG_NAME, "body").text
        assert at.execute_script("return document.querySelectorAll('script, img, iframe, [onerror]').length") == 0
        assert at.get_log("browser") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_and_can_be_read_at_each_width(at: Chrome, inspected: Inspector, width: str) -> None:
    """Nothing is cut off, every field has a label, text stands out from its ground (WCAG AA), in light and dark."""
    _resize(at, *WIDTHS[width])
    pages = {
        "namespaces": "/",
        "browse": "/browse?ns=demo",
        "search": "/search?ns=demo&q=What+am+I+allergic+to%3F&limit=5",
        "context": "/context?ns=demo&q=What+am+I+allergic+to%3F&budget=300&conversation=big-changes",
        "memory": "/memory?ns=demo&id=bus",
        "upkeep": "/upkeep?ns=demo&what=prune&quota=14",
    }
    for name, page in pages.items():
        at.get(inspected.origin + page)
        assert at.execute_script("return document.documentElement.scrollWidth <= innerWidth"), name
        assert at.execute_script("return document.querySelectorAll('h1').length") == 1
        assert at.execute_script(_UNLABELLED) == [], name
        assert at.execute_script(_LOW_CONTRAST) == [], name
        if SHOTS is not None and name in PHOTOGRAPHED:
            at.save_screenshot(str(Path(SHOTS) / f"inspector-{name}-{width}.png"))


def _resize(browser: Chrome, width: int, height: int, scheme: str) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def test_another_site_can_neither_post_nor_read(at: Chrome, inspected: Inspector, tmp_path: Path) -> None:
    """A page of another site with our address: the form it sends is refused, a link from it comes without a session."""
    fields = {"ns": "demo", "name": "demo", "id": "bus", "form_token": inspected.form_token()}
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    form = f'<form method="post" action="{inspected.origin}/forget">{inputs}</form>'
    (tmp_path / "post.html").write_text(f"{form}<script>document.forms[0].submit()</script>")
    (tmp_path / "link.html").write_text(f'<a id="go" href="{inspected.origin}/browse?ns=demo">go</a>')
    (tmp_path / "frame.html").write_text(f'<iframe src="{inspected.origin}/browse?ns=demo"></iframe>')
    before = inspected.memory.stats()
    with _site(tmp_path) as evil:
        at.get(f"{evil}/post.html")
        _wait_for(at, "another site")
        at.get(f"{evil}/link.html")
        at.find_element(By.ID, "go").click()
        _wait_for(at, "Open the link")
        at.get(f"{evil}/frame.html")
        at.switch_to.frame(0)
        assert "The bus" not in at.page_source
        at.switch_to.default_content()
    assert inspected.memory.stats() == before


class _site:  # noqa: N801 - reads as a function
    """Another site: files of a folder on `localhost`, which is another site than 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(_Quiet, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://localhost:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:  # type: ignore[override]
        """Say nothing."""


_UNLABELLED = """
return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
  .filter(field => !field.labels.length).map(field => field.name)
"""

_LOW_CONTRAST = """
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = element => {
  for (; element; element = element.parentElement) {
    const colour = rgb(getComputedStyle(element).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll('body *')].filter(element => element.checkVisibility()
    && [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()))
  .map(element => {
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 80)];
  }).filter(([ratio]) => ratio < 4.5);
"""
