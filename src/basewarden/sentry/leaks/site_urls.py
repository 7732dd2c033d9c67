"""The addresses of a site: which may be asked, and which belong to the same site. Pure."""

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from basewarden.connections.rest import RestAddress

MAX_URL_LENGTH: Final = 2_000
_PORTS: Final = {"https": 443, "http": 80}
_SAFE: Final = "/%:@!$&'()*+,;=~-._?"
_SHARED_HOSTS: Final = (
    *("vercel.app", "netlify.app", "github.io", "gitlab.io", "pages.dev", "workers.dev", "web.app", "firebaseapp.com"),
    *("herokuapp.com", "onrender.com", "fly.dev", "railway.app", "up.railway.app", "surge.sh", "lovable.app"),
    *("lovableproject.com", "bolt.host", "replit.app", "repl.co", "amplifyapp.com", "azurewebsites.net", "supabase.co"),
    *("azurestaticapps.net", "cloudfront.net", "amazonaws.com", "appspot.com", "run.app", "deno.dev", "framer.app"),
    *("webflow.io", "ngrok.app", "ngrok-free.app", "trycloudflare.com", "blogspot.com", "myshopify.com", "base44.app"),
)
"""Of which each name belongs to another customer."""
_LONGEST_SHARED_LABEL: Final = 3


@dataclass(frozen=True, slots=True)
class SiteURL:
    """`path` is what follows the host, with the query."""

    address: RestAddress
    path: str

    def __str__(self) -> str:
        return f"{self.address}{self.path}"

    @property
    def name(self) -> str:
        """Without the query, which may be a secret."""
        return f"{self.address}{self.path.partition('?')[0]}"

    def resolve(self, reference: str) -> "SiteURL | None":
        """None for what is no address on the web."""
        try:
            return parse_site_url(urljoin(str(self), reference.strip()))
        except ValueError:
            return None


def parse_site_url(text: str) -> SiteURL:
    """Raises ValueError, whose text is a sentence for the person who typed it and never contains it."""
    text = text.strip()
    if len(text) > MAX_URL_LENGTH or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("The address is too long, or contains a character that is not valid.")
    if "://" not in text and "." in text.partition("/")[0]:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("The port must be a number up to 65535.") from None
    if parts.scheme.lower() not in _PORTS:
        raise ValueError("Enter an address such as https://app.example.com.")
    if "@" in parts.netloc:
        raise ValueError("Remove the user name and password from the address.")
    scheme = parts.scheme.lower()
    address = RestAddress(scheme, _check_host(parts.hostname), port or _PORTS[scheme])
    query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
    return SiteURL(address, f"{quote(parts.path, safe=_SAFE) or '/'}{query}")


def is_same_site(host: str, other: str) -> bool:
    """The same host, or both below one name that a customer can own: `cdn.shop.com` and `www.shop.com`."""
    return host == other or (find_site(host) is not None and find_site(host) == find_site(other))


def find_site(host: str) -> str | None:
    """None for an address and for a name without a dot, which have no hosts below them."""
    labels = host.split(".")
    if _is_address(host) or len(labels) < 2:
        return None
    shared = next((one for one in _SHARED_HOSTS if host.endswith(f".{one}")), None)
    if shared is not None:
        return ".".join(labels[-1 - len(shared.split(".")) :])
    is_country = len(labels[-1]) == 2 and len(labels[-2]) <= _LONGEST_SHARED_LABEL
    return ".".join(labels[-3:] if is_country else labels[-2:])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_host(host: str | None) -> str:
    try:
        name = (host or "").rstrip(".").encode("idna").decode().lower() if not _is_address(host or "") else str(host)
    except UnicodeError:
        name = ""
    if not name or not all(one.isalnum() or one in ".-_:" for one in name):
        raise ValueError("The address has no host, or one that is not valid.")
    return name
