"""Who must not get in, and what must not run."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from memory_mgr import MemoryConfig
from memory_mgr.testing import FakeEmbedder

from .conftest import EVIL, TOKEN, Inspector, fill, serving

PAGES = ["/", "/browse", "/search?q=script", "/context?q=script&budget=500", "/upkeep?what=prune&quota=0"]
FORMS = ["/memory/edit", "/memory/supersede", "/memory/delete", "/undo", "/prune", "/consolidate", "/forget"]


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    """One for all attacks: none of them changes anything."""
    config = MemoryConfig(path=tmp_path_factory.mktemp("store"), namespace="tests", embedder=FakeEmbedder())
    fill(config)
    yield from serving(config)


class Tags(HTMLParser):
    """The tags and attributes a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(  # noqa: D102
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]


def _in(path: str) -> str:
    """The page in the namespace with the evil name."""
    where = urlencode([("ns", "tests"), ("ns", EVIL)])
    return path if path == "/" else f"{path}{'&' if '?' in path else '?'}{where}"


@pytest.mark.parametrize(
    "path", [*PAGES, f"/memory?{urlencode({'id': EVIL})}", "/browse?" + urlencode({"source": EVIL})]
)
def test_markup_in_memories_and_names_is_text(inspector: Inspector, path: str) -> None:
    """Text, speaker, source, metadata, id and namespace: no tag, no handler, no template of theirs is alive."""
    page = inspector.get(_in(path))
    assert "&lt;script&gt;" in page
    assert "{{7*7}}" in page
    seen = Tags(page)
    assert not {"script", "img", "iframe", "object"} & set(seen.tags)
    assert not [name for name in seen.attributes if name.startswith("on") or name == "style"]
    assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in seen.links)


@pytest.mark.parametrize("query", ["q", "source", "conversation", "tier", "id", "start", "done", "ns"])
def test_markup_in_addresses_is_text(inspector: Inspector, query: str) -> None:
    """Whatever an address brings along, reflected or refused."""
    for page in ("/", "/browse", "/search", "/context", "/memory", "/upkeep"):
        answer = inspector.client.get(inspector.origin + page, params=[("ns", "tests"), (query, EVIL)])
        assert "<script" not in answer.text
        assert "<img" not in answer.text
        assert answer.headers["content-type"].startswith("text/html")


def test_every_answer_forbids_scripts_frames_and_sniffing(inspector: Inspector) -> None:
    """Pages, errors and refusals alike."""
    for path, client in (("/", inspector.client), ("/nope", inspector.client), ("/", httpx)):
        headers = client.get(inspector.origin + path).headers  # type: ignore[attr-defined]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("cookie", [None, "", TOKEN, "x" * 32])
def test_without_the_session_nothing_is_shown(inspector: Inspector, cookie: str | None) -> None:
    """No cookie, a wrong one, or the link's token as one: 401 on every address."""
    name = next(iter(inspector.client.cookies))
    headers = {} if cookie is None else {"Cookie": f"{name}={cookie}"}
    for path in [*PAGES, "/export?ns=tests", "/style.css"]:
        answer = httpx.get(inspector.origin + path, headers=headers)
        assert answer.status_code == 401
        assert "tests" not in answer.text


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", "é"])
def test_a_wrong_token_does_not_open(inspector: Inspector, token: str) -> None:
    """And sets no cookie."""
    answer = httpx.get(inspector.origin, params={"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_the_cookie_is_strict_and_hidden_from_scripts(inspector: Inspector) -> None:
    """And is not the token of the link, which may stay in a history."""
    cookie = httpx.get(inspector.link).headers["set-cookie"]
    assert "SameSite=strict" in cookie
    assert "HttpOnly" in cookie
    assert TOKEN not in cookie


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil.example:{port}",
        "",
        "[::1]:{port}",
    ],
)
def test_a_rebound_name_is_refused(inspector: Inspector, host: str) -> None:
    """A site whose name was made to point here, cookie or not: its Host is not ours."""
    port = urlsplit(inspector.origin).port
    name, value = next(iter(inspector.client.cookies.items()))
    headers = {"Host": host.format(port=port), "Cookie": f"{name}={value}"}
    for method, path in (("GET", "/"), ("GET", f"/?token={TOKEN}"), ("POST", "/forget")):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 421
        assert answer.getheader("set-cookie") is None
        connection.close()


def test_localhost_is_our_name_too(inspector: Inspector) -> None:
    """With its own Origin."""
    port = urlsplit(inspector.origin).port
    name, value = next(iter(inspector.client.cookies.items()))
    headers = {"Host": f"localhost:{port}", "Cookie": f"{name}={value}", "Origin": f"http://localhost:{port}"}
    assert httpx.get(inspector.origin, headers=headers).status_code == 200


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://localhost"])
def test_another_sites_form_is_refused(inspector: Inspector, path: str, origin: str | None) -> None:
    """Even with the cookie and the form token: the Origin is not ours."""
    data = {"ns": "tests", "form_token": inspector.form_token(), "id": "nuts", "name": "tests", "content": "x"}
    headers = {} if origin is None else {"Origin": origin}
    before = inspector.memory.stats()
    assert inspector.client.post(inspector.origin + path, data=data, headers=headers).status_code == 403
    assert inspector.memory.stats() == before
    assert inspector.memory.get_memory("nuts").content == "I am allergic to nuts"


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_form_without_the_form_token_is_refused(inspector: Inspector, path: str, token: str) -> None:
    """Even from our own origin with the cookie: another server on this machine gets the cookie too."""
    data = {"ns": "tests", "form_token": token, "id": "nuts", "name": "tests", "content": "x"}
    answer = inspector.client.post(inspector.origin + path, data=data, headers={"Origin": inspector.origin})
    assert answer.status_code == 403
    assert inspector.memory.stats().total == 3


@pytest.mark.parametrize("path", FORMS)
def test_looking_at_an_action_does_nothing(inspector: Inspector, path: str) -> None:
    """A link or an image with its address is not a form."""
    token = inspector.form_token()
    answer = inspector.client.get(inspector.origin + path, params={"ns": "tests", "form_token": token, "name": "tests"})
    assert answer.status_code in {404, 405}
    assert inspector.memory.stats().total == 3


@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/style.css/../app.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/static/../memory.toml",
        "/templates/base.html",
        "/app.py",
        "/style.css%00.html",
        "/export/../browse",
    ],
)
def test_addresses_are_never_paths(inspector: Inspector, path: str) -> None:
    """Only the addresses of the pages exist."""
    split = urlsplit(inspector.origin)
    connection = http.client.HTTPConnection(split.hostname or "", split.port)
    name, value = next(iter(inspector.client.cookies.items()))
    connection.request("GET", path, headers={"Cookie": f"{name}={value}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    assert answer.status == 404
    assert "root:" not in body
    assert "import" not in body
    connection.close()


def test_a_form_that_is_too_long_is_refused(inspector: Inspector) -> None:
    """Before all of it is in memory."""
    data = {"ns": "tests", "form_token": inspector.form_token(), "content": "x" * 13_000_000}
    answer = inspector.client.post(inspector.origin + "/memory/edit", data=data, headers={"Origin": inspector.origin})
    assert answer.status_code == 413
