"""Collecting pictures, against stand-ins of the three services on this machine; no other socket is opened."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from inpaint_core import load_model
from training.collect import REJECTED, Settings, collect, main
from training.collection.licences import short_name, version_of
from training.collection.web import LONGEST_WAIT, CollectError, RejectedError, Web
from training.dataset.attribution import ATTRIBUTION, read_credits
from training.prepare import main as prepare
from training.run import main as train


def photograph(seed: int, side: int = 64) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


class Service(ThreadingHTTPServer):
    """A stand-in: answers by path, remembers what was asked, and can misbehave once per path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.busy: dict[str, list[tuple[int, str]]] = {}
        self.cut_off: set[str] = set()
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []
        self.answers: dict[str, object] = {}
        self.slow = 0.0

    def picture(self, seed: int, **options: int) -> str:
        self.files[f"/{seed}.jpg"] = photograph(seed, **options)
        return f"{self.address}/{seed}.jpg"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        service, parts = self.server, urlsplit(self.path)
        parameters = parse_qs(parts.query)
        service.asked.append((parts.path, parameters, self.headers["User-Agent"]))
        time.sleep(service.slow)
        if service.busy.get(parts.path):
            code, wait = service.busy[parts.path].pop(0)
            self.send_response(code)
            self.send_header("Retry-After", wait)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif parts.path in service.redirects:
            self.send_response(302)
            self.send_header("Location", service.redirects[parts.path])
            self.end_headers()
        else:
            answer = service.answers.get(parts.path)
            data = service.files.get(parts.path)
            if answer is not None:
                data = json.dumps(answer(parameters) if callable(answer) else answer).encode()
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            cut = parts.path in service.cut_off
            service.cut_off.discard(parts.path)
            self.wfile.write((data or b"")[: len(data or b"") // 2 if cut else None])

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def checked(self: socket.socket, address: tuple[str, int]) -> None:
        assert self.family != socket.AF_INET or address[0] == "127.0.0.1", address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)


def commons_page(number: int, url: str, licence: str = "cc-by-4.0", **info: object) -> dict[str, object]:
    described = {"License": licence, "Artist": f'<a href="x">Ann&eacute; {number}</a>', "LicenseUrl": "https://l"}
    return {
        "pageid": number,
        "index": number,
        "title": f"File:Leaf {number}.jpg",
        "imageinfo": [
            {
                "url": url,
                "mime": "image/jpeg",
                "width": 64,
                "descriptionurl": f"https://commons.example/{number}",
                "extmetadata": {name: {"value": value} for name, value in described.items()},
                **info,
            }
        ],
    }


def offer(service: Service, pages: list[list[dict[str, object]]]) -> None:
    """Make the stand-in of Commons answer with these pages."""

    def answer(parameters: dict[str, list[str]]) -> dict[str, object]:
        number = int(parameters.get("gsroffset", ["0"])[0])
        more = {"continue": {"gsroffset": number + 1}} if number + 1 < len(pages) else {}
        return {"query": {"pages": pages[number]}, **more}

    service.answers["/api"] = answer


def settings(out: Path, source: str = "commons", **changes: object) -> Settings:
    return Settings(**{"source": source, "query": "leaf", "contact": "a@b.c", "out": out, "min_side": 32, **changes})


def client(waits: list[float] | None = None, pause: float = 0.0) -> Web:
    return Web("a@b.c", pause, local=True, sleep=(waits if waits is not None else []).append)


def test_commons_is_read_page_by_page_until_the_limit_and_everyone_is_credited(
    service: Service, tmp_path: Path
) -> None:
    pages = [[commons_page(page * 3 + n, service.picture(page * 3 + n)) for n in range(3)] for page in range(4)]
    offer(service, pages)
    collected = collect(settings(tmp_path, limit=7), client(), f"{service.address}/api")
    assert [credit.title for credit in collected.credits] == [f"Leaf {n}.jpg" for n in range(7)]
    assert read_credits(tmp_path) == collected.credits
    first = collected.credits[0]
    assert (first.creator, first.licence, first.version) == ("Anné 0", "by", "4.0")
    assert (tmp_path / first.file).read_bytes() == photograph(0)
    queries = [asked for path, asked, _ in service.asked if path == "/api"]
    assert len(queries) == 3
    assert all(asked["maxlag"] == ["5"] for asked in queries)
    assert all("a@b.c" in agent for _, _, agent in service.asked)


def test_licences_that_were_not_asked_for_are_refused_and_never_downloaded(service: Service, tmp_path: Path) -> None:
    names = ["cc-by-nc-2.0", "cc-by-nd-4.0", "gfdl", "cc-by-sa-3.0", "pd", "cc0"]
    offer(service, [[commons_page(n, service.picture(n), name) for n, name in enumerate(names)]])
    collected = collect(settings(tmp_path), client(), f"{service.address}/api")
    assert [credit.licence for credit in collected.credits] == ["by-sa", "pdm", "cc0"]
    assert not {"/0.jpg", "/1.jpg", "/2.jpg"} & {path for path, _, _ in service.asked}
    assert len(json.loads((tmp_path / REJECTED).read_text())) == 3
    asked = collect(settings(tmp_path / "all", licences=("by-nc", "unknown")), client(), f"{service.address}/api")
    assert [credit.licence for credit in asked.credits] == ["by-nc", "unknown"]


def test_what_is_not_a_usable_picture_is_refused_by_reason(service: Service, tmp_path: Path) -> None:
    service.files |= {"/text.jpg": b"no picture " * 99, "/cut.jpg": photograph(5)[:400], "/large.jpg": b"x" * 200_000}
    service.redirects |= {
        "/away": "http://192.0.2.1/a.jpg",
        "/file": "file:///etc/passwd",
        "/moved": service.picture(3),
    }
    wrong = ["/text.jpg", "/cut.jpg", "/large.jpg", "/missing.jpg", "/away", "/file", "/moved"]
    pages = [commons_page(n, service.address + path) for n, path in enumerate(wrong)]
    pages += [commons_page(10, service.picture(1, side=20)), commons_page(11, f"{service.address}/3.jpg")]
    offer(service, [pages])
    collected = collect(settings(tmp_path, max_megabytes=0.1), client(), f"{service.address}/api")
    assert [credit.url for credit in collected.credits] == [f"{service.address}/3.jpg"]
    reasons = " ".join(collected.rejected.values())
    for said in ("200000 bytes", "answered 404", "not on this machine", "only 20x20", "same file as an earlier"):
        assert said in reasons
    assert len(collected.rejected) == len(pages) - 1
    kept = {ATTRIBUTION, REJECTED, ".collect.lock", collected.credits[0].file}
    assert {path.name for path in tmp_path.iterdir()} <= kept


def test_a_busy_service_is_given_the_time_it_asks_for_and_cut_files_are_fetched_again(
    service: Service, tmp_path: Path
) -> None:
    lag = iter([{"error": {"code": "maxlag"}}])
    pages = {"query": {"pages": [commons_page(1, service.picture(1))]}}
    service.answers["/api"] = lambda _: next(lag, pages)
    service.busy["/1.jpg"] = [(429, "37"), (503, "Wed, 21 Oct 2015 07:28:00 GMT")]
    service.cut_off = {"/1.jpg"}
    waits: list[float] = []
    collected = collect(settings(tmp_path), client(waits), f"{service.address}/api")
    assert len(collected.credits) == 1
    assert 37.0 in waits
    assert (tmp_path / collected.credits[0].file).read_bytes() == photograph(1)


def test_a_service_that_stays_away_ends_the_collection_in_one_sentence(service: Service, tmp_path: Path) -> None:
    service.busy["/api"] = [(503, "1")] * 9
    with pytest.raises(CollectError, match=r"answered 503, 5 times"):
        collect(settings(tmp_path), client(), f"{service.address}/api")
    service.busy["/api"] = [(429, str(int(LONGEST_WAIT) + 1))]
    with pytest.raises(CollectError, match="try again later"):
        collect(settings(tmp_path), client(), f"{service.address}/api")


def test_requests_keep_their_distance(service: Service) -> None:
    service.files["/a"] = b"a"
    waits: list[float] = []
    web = client(waits, pause=30.0)
    for _ in range(3):
        web.download(f"{service.address}/a", 10)
    assert waits[0] == 0.0
    assert all(29.0 < wait <= 30.0 for wait in waits[1:])


@pytest.mark.parametrize(
    "url", ["http://a.example/x", "https://127.0.0.1/x", "https://10.1.2.3/", "file:///x", "ftp://a/b"]
)
def test_only_public_https_addresses_are_fetched(url: str) -> None:
    with pytest.raises(RejectedError, match="not a public https address"):
        Web("a@b.c").download(url, 10)


def test_openverse_is_read_in_pages_of_twenty_with_the_licences_asked_for(service: Service, tmp_path: Path) -> None:
    def answer(parameters: dict[str, list[str]]) -> dict[str, object]:
        assert parameters["license"] == ["cc0,by"]
        number = int(parameters["page"][0])
        entry = {
            "id": f"id{number}",
            "url": service.picture(number),
            "title": "Oak",
            "creator": "Bo",
            "source": "flickr",
        }
        return {"page_count": 3, "results": [{**entry, "license": "by", "license_version": "2.0"}]}

    service.answers["/v1/"] = answer
    wanted = settings(tmp_path, "openverse", licences=("cc0", "by"))
    collected = collect(wanted, client(), f"{service.address}/v1/")
    assert [(credit.source, credit.licence, credit.version) for credit in collected.credits] == [
        ("Openverse (flickr)", "by", "2.0")
    ] * 3


def test_reddit_is_read_through_praw_with_the_users_own_credentials(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("praw")
    names = ("client_id", "client_secret", "user_agent")
    lines = [*(f"{name}=x" for name in names), f"oauth_url={service.address}", f"reddit_url={service.address}"]
    (tmp_path / "praw.ini").write_text("\n".join(["[DEFAULT]", *lines, ""]))
    monkeypatch.chdir(tmp_path)
    posts = [
        {"id": f"p{n}", "url": service.picture(n), "title": f"Post {n}", "permalink": f"/r/leaf/{n}", "author": "ann"}
        for n in range(2)
    ]
    posts.append({**posts[0], "id": "text", "url": "https://a.example/article"})
    children = [{"kind": "t3", "data": post} for post in posts]
    service.answers["/api/v1/access_token"] = {
        "access_token": "t",
        "expires_in": 3600,
        "scope": "*",
        "token_type": "bearer",
    }
    service.answers["/r/leaf/top"] = {"kind": "Listing", "data": {"children": children, "after": None}}
    out = tmp_path / "out"
    assert not collect(settings(out, "reddit"), client(), "DEFAULT").credits
    (out / REJECTED).unlink()
    collected = collect(settings(out, "reddit", licences=("unknown",)), client(), "DEFAULT")
    assert {credit.creator for credit in collected.credits} == {"ann"}
    assert [credit.title for credit in collected.credits] == ["Post 0", "Post 1"]
    del service.answers["/r/leaf/top"]
    with pytest.raises(CollectError, match="Reddit: "):
        collect(settings(out, "reddit", licences=("unknown",)), client(), "DEFAULT")


def test_a_killed_collection_continues_without_asking_twice_for_a_picture(service: Service, tmp_path: Path) -> None:
    offer(service, [[commons_page(n, service.picture(n)) for n in range(12)]])
    service.slow = 0.05
    program = (
        "from pathlib import Path; from training.collect import *;"
        f"collect(Settings('commons', 'leaf', 'a@b.c', Path({str(tmp_path)!r}), min_side=32),"
        f" Web('a@b.c', 0.0, local=True), '{service.address}/api')"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    deadline = time.monotonic() + 60
    while len(service.asked) < 7 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    service.slow = 0.0
    kept = {credit.url for credit in read_credits(tmp_path)}
    assert 0 < len(kept) < 12
    service.asked.clear()
    (tmp_path / "commons-0123456789abcdef.jpg").write_bytes(photograph(99))  # written, but not yet credited
    collected = collect(settings(tmp_path), client(), f"{service.address}/api")
    assert len({credit.url for credit in collected.credits}) == 12
    assert not kept & {service.address + path for path, _, _ in service.asked}
    assert {path.name for path in tmp_path.glob("*.jpg")} == {credit.file for credit in collected.credits}


def test_sources_and_licences_reach_the_prepared_folder_the_report_and_the_card(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    licences = ["cc-by-4.0"] * 4 + ["cc0"] * 2
    offer(service, [[commons_page(n, service.picture(n), name) for n, name in enumerate(licences)]])
    collect(settings(tmp_path / "raw"), client(), f"{service.address}/api")
    data, out = tmp_path / "data", tmp_path / "run"
    assert prepare(["--data", str(tmp_path / "raw"), "--out", str(data), "--size", "32", "--split", "1/0/0"]) == 0
    credits_ = read_credits(data)
    assert {credit.file for credit in credits_} == {str(path.relative_to(data)) for path in data.rglob("*.jpg")}
    options = {"steps": 1, "data.size": 32, "batch_size": 1, "resume": "none", "model.arguments": '{"width": 4}'}
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    assert train(["--config", "reconstruction", "--data", str(data), "--out", str(out), *given]) == 0
    report = json.loads((out / "dataset_report.json").read_text())
    assert set(report["sources"]) == {"Wikimedia Commons"}
    assert "(Wikimedia Commons: 4 CC BY 4.0, 2 CC0)" in load_model(out / "model.safetensors").card.data


@pytest.mark.parametrize(
    ("name", "short", "version"),
    [
        ("CC BY-SA 4.0", "by-sa", "4.0"),
        ("cc-by-2.0", "by", "2.0"),
        ("cc-by-nc-nd-3.0", "by-nc-nd", "3.0"),
        ("by-nc", "by-nc", ""),
        ("CC0 1.0", "cc0", "1.0"),
        ("Public domain", "pdm", ""),
        ("pdm", "pdm", ""),
        ("GFDL", "unknown", ""),
        ("bystander", "unknown", ""),
        ("", "unknown", ""),
    ],
)
def test_licences_are_recognized_by_the_names_that_services_use(name: str, short: str, version: str) -> None:
    assert (short_name(name), version_of(name)) == (short, version)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--contact": ""}, "--contact is missing"),
        ({"--contact": "me"}, "an email address or a web page"),
        ({"--contact": "a@b.c\r\nX: y"}, "only printable ASCII"),
        ({"--license": "by,free"}, "choose some of"),
        ({"--limit": "0"}, "from 1 to"),
        ({"--source": "flickr"}, "invalid choice"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_before_anything_is_asked(
    changed: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--source": "commons", "--query": "x", "--contact": "a@b.c", "--out": str(tmp_path / "out"), **changed}
    assert main([part for pair in given.items() for part in pair]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
