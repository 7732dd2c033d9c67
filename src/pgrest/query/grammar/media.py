"""Media types: the Accept list in order of preference, and the vendored types of PostgREST."""

import re
from dataclasses import dataclass
from typing import Literal

_TYPE = re.compile(r"([A-Za-z0-9.*]+)/([A-Za-z0-9.*+-]+)")
_PARAMETER = re.compile(r"""\s*;\s*([A-Za-z0-9-]+)\s*=\s*(?:"([^"]*)"|([A-Za-z0-9|-]+))""")
_QUALITY = re.compile(r"[0-9]*\.?[0-9]+")
_PLAN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")

_WITHOUT_CHARSET = ("application/octet-stream",)


@dataclass(frozen=True, slots=True)
class PlanMedia:
    """`application/vnd.pgrst.plan`: the execution plan of the request for another media type."""

    subject: "MediaType"
    format: Literal["json", "text"]
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MediaType:
    name: str
    strips_nulls: bool = False
    is_known: bool = True
    plan: PlanMedia | None = None

    @property
    def is_singular(self) -> bool:
        return self.name == "application/vnd.pgrst.object+json"

    def mime(self) -> str:
        if self.plan is not None:
            options = f"; options={'|'.join(self.plan.options)}" if self.plan.options else ""
            return f'{self.name}+{self.plan.format}; for="{self.plan.subject.mime()}"{options}'
        return f"{self.name};nulls=stripped" if self.strips_nulls else self.name

    def content_type(self) -> str:
        has_charset = self.is_known and self.name not in _WITHOUT_CHARSET
        return f"{self.mime()}; charset=utf-8" if has_charset else self.mime()


JSON = MediaType("application/json")
ANY = MediaType("*/*")
CSV = MediaType("text/csv")
GEOJSON = MediaType("application/geo+json")
PLAIN_TEXT = MediaType("text/plain")
XML = MediaType("text/xml")
OPENAPI = MediaType("application/openapi+json")
FORM = MediaType("application/x-www-form-urlencoded")
OCTETS = MediaType("application/octet-stream")
_KNOWN = {media.name: media for media in (JSON, ANY, CSV, GEOJSON, PLAIN_TEXT, XML, OPENAPI, FORM, OCTETS)}


def parse_accept(header: str | None) -> tuple[MediaType, ...]:
    if header is None:
        return (ANY,)
    ranked = sorted((_read_quality(part) for part in header.split(",")), key=lambda pair: pair[1], reverse=True)
    return tuple(parse_media_type(text) for text, _ in ranked)


def _read_quality(part: str) -> tuple[str, tuple[float, int]]:
    """A type and its rank: first by quality, then the more specific first."""
    text, found, rest = part.replace(" ", "").partition(";q=")
    number = _QUALITY.match(rest) if found else None
    return text, (float(number[0]) if number else 1.0, text.count(";") - text.count("*"))


def parse_media_type(text: str) -> MediaType:
    found = _TYPE.match(text)
    if found is None:
        return MediaType(text, is_known=False)
    name = found[0].lower()
    if name in _KNOWN:
        return _KNOWN[name]
    return _parse_vendored(name, _read_parameters(text, found.end())) or MediaType(text, is_known=False)


def _read_parameters(text: str, start: int) -> dict[str, str]:
    parameters: dict[str, str] = {}
    while (found := _PARAMETER.match(text, start)) is not None:
        parameters[found[1].lower()] = found[2] if found[2] is not None else found[3]
        start = found.end()
    return parameters


def _parse_vendored(name: str, parameters: dict[str, str]) -> MediaType | None:
    strips = parameters.get("nulls") == "stripped"
    match name:
        case "application/vnd.pgrst.object" | "application/vnd.pgrst.object+json":
            return MediaType("application/vnd.pgrst.object+json", strips)
        case "application/vnd.pgrst.array" | "application/vnd.pgrst.array+json":
            return MediaType("application/vnd.pgrst.array+json", strips_nulls=True) if strips else JSON
        case "application/vnd.pgrst.plan" | "application/vnd.pgrst.plan+text":
            return _plan_media("text", parameters)
        case "application/vnd.pgrst.plan+json":
            return _plan_media("json", parameters)
    return None


def _plan_media(output: Literal["json", "text"], parameters: dict[str, str]) -> MediaType:
    subject = parse_media_type(parameters.get("for", "application/json"))
    if subject.plan is not None:
        subject = JSON
    given = parameters.get("options", "").split("|")
    options = tuple(option for option in _PLAN_OPTIONS if option in given)
    return MediaType("application/vnd.pgrst.plan", plan=PlanMedia(subject, output, options))
