"""Where pictures come from: Wikimedia Commons, Openverse, Reddit."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inpaint_core.files.suffixes import READABLE_SUFFIXES
from inpaint_core.text import one_line

from ..dataset.attribution import LONGEST
from .licences import short_name, version_of
from .web import CollectError, Web

PAGE = 50
OPENVERSE_PAGE = 20  # maximum without an account
OPENVERSE_PAGES = 12  # 240 results; enumerating more is forbidden
WIDEST = 2048  # pixels; larger originals are downloaded at a reduced size that Wikimedia offers
TYPES = ("image/jpeg", "image/png", "image/webp", "image/tiff")


@dataclass(frozen=True)
class Found:
    """A picture that a service offers; all texts are untrusted.

    Attributes
    ----------
    identity
        The service's identifier of the picture.
    licence, version, licence_url
        As in `Credit`.
    """

    identity: str
    source: str
    url: str
    title: str
    creator: str
    page: str
    licence: str
    version: str
    licence_url: str


@dataclass(frozen=True)
class Source:
    """A service.

    Attributes
    ----------
    endpoint
        URL of its API.
    search
        Called with a client, the endpoint, the query and the accepted licenses.
    """

    endpoint: str
    search: Callable[[Web, str, str, Sequence[str]], Iterator[Found]]


def search_commons(web: Web, endpoint: str, query: str, licences: Sequence[str]) -> Iterator[Found]:
    """Pictures of Wikimedia Commons, a page at a time.

    See https://www.mediawiki.org/wiki/API:Etiquette for `maxlag` and the user agent.
    """
    del licences  # not part of the search
    asked: dict[str, str | int] = {
        "action": "query",
        "format": "json",
        "formatversion": 2,
        "maxlag": 5,
        "generator": "search",
        "gsrsearch": f"filetype:bitmap {query}",
        "gsrnamespace": 6,
        "gsrlimit": PAGE,
        "prop": "imageinfo",
        "iiprop": "url|size|mime|extmetadata",
        "iiurlwidth": WIDEST,
    }
    more: Mapping[str, Any] = {}
    while True:
        answer = web.ask(endpoint, {**asked, **more})
        if "error" in answer:
            raise CollectError(f"Wikimedia Commons: {_text(answer['error'], 'info') or 'it answered with an error'}")
        pages = (answer.get("query") or {}).get("pages") or []
        for page in sorted(pages, key=lambda page: page.get("index", 0)):
            for info in (page.get("imageinfo") or [])[:1]:
                if info.get("mime") in TYPES:
                    yield _from_commons(page, info)
        more = answer.get("continue") or {}
        if not more:
            return


def _from_commons(page: Mapping[str, Any], info: Mapping[str, Any]) -> Found:
    described = info.get("extmetadata") or {}
    licence = _meta(described, "License") or _meta(described, "LicenseShortName")
    large = info.get("width", 0) > WIDEST and info.get("thumburl")
    return Found(
        identity=str(page.get("pageid", "")),
        source="Wikimedia Commons",
        url=_text(info, "thumburl" if large else "url"),
        title=_text(page, "title").removeprefix("File:"),
        creator=_meta(described, "Artist"),
        page=_text(info, "descriptionurl"),
        licence=short_name(licence),
        version=version_of(licence),
        licence_url=_meta(described, "LicenseUrl"),
    )


def search_openverse(web: Web, endpoint: str, query: str, licences: Sequence[str]) -> Iterator[Found]:
    """Pictures of Openverse; at most 240, because it forbids enumerating everything."""
    known = [licence for licence in licences if licence != "unknown"]
    if not known:
        return
    for number in range(1, OPENVERSE_PAGES + 1):
        asked: dict[str, str | int] = {
            "q": query,
            "license": ",".join(known),
            "page": number,
            "page_size": OPENVERSE_PAGE,
        }
        answer = web.ask(endpoint, asked)
        for entry in answer.get("results") or []:
            yield Found(
                identity=_text(entry, "id"),
                source=f"Openverse ({_text(entry, 'source') or 'unknown source'})",
                url=_text(entry, "url"),
                title=_text(entry, "title"),
                creator=_text(entry, "creator"),
                page=_text(entry, "foreign_landing_url"),
                licence=short_name(_text(entry, "license")),
                version=_text(entry, "license_version"),
                licence_url=_text(entry, "license_url"),
            )
        if number >= int(answer.get("page_count") or 0):
            return


def search_reddit(web: Web, endpoint: str, query: str, licences: Sequence[str]) -> Iterator[Found]:
    """Pictures linked from a subreddit, through PRAW and the credentials in the user's own `praw.ini`.

    Reddit ended self-service access to its API in November 2025, so only users who already have credentials can use
    this. Licenses are unknown.
    """
    del web, licences
    try:
        import praw
    except ModuleNotFoundError:
        raise CollectError('--source reddit needs PRAW: pip install "liminal-inpaint[collect]"') from None
    from praw.exceptions import PRAWException
    from prawcore.exceptions import PrawcoreException

    try:
        yield from _from_reddit(praw.Reddit(endpoint, check_for_updates=False), query)
    except (PRAWException, PrawcoreException) as error:
        raise CollectError(f"Reddit: {one_line(str(error), LONGEST) or type(error).__name__}") from None


def _from_reddit(reddit: Any, query: str) -> Iterator[Found]:
    for post in reddit.subreddit(query).top(limit=None):
        if post.url.lower().endswith(tuple(READABLE_SUFFIXES)):
            yield Found(
                identity=str(post.id),
                source=f"Reddit (r/{query})",
                url=str(post.url),
                title=one_line(str(post.title), LONGEST),
                creator=one_line(str(post.author or ""), LONGEST),
                page=f"https://www.reddit.com{post.permalink}",
                licence="unknown",
                version="",
                licence_url="",
            )


SOURCES = {
    "commons": Source("https://commons.wikimedia.org/w/api.php", search_commons),
    "openverse": Source("https://api.openverse.org/v1/images/", search_openverse),
    "reddit": Source("DEFAULT", search_reddit),
}
"""For Reddit, the endpoint is the section of `praw.ini`."""


def _text(fields: Any, name: str) -> str:
    value = fields.get(name) if isinstance(fields, Mapping) else None
    return one_line(str(value), LONGEST) if isinstance(value, str | int) else ""


def _meta(described: Mapping[str, Any], name: str) -> str:
    """A field of `extmetadata`, which is HTML."""
    return one_line(html.unescape(re.sub(r"<[^>]*>", "", _text(described.get(name), "value"))), LONGEST).strip()
