"""The client of GitHub's OAuth and user API. It stores nothing, not even the access token."""

import asyncio
import ssl
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import structlog
from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]  # it ships no types
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]  # it ships no types
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # it ships no types
from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, TypeAdapter, ValidationError

from basewarden.accounts.github.errors import GitHubDown, GitHubError, GitHubStale
from basewarden.core.text import clean_line
from basewarden.db import note_waiting
from basewarden.settings import Settings

with warnings.catch_warnings():  # the warning is about a later release of httpx
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import (  # type: ignore[import-untyped]  # it ships no types
        AsyncOAuth2Client,
        OAuthError,
    )

PUBLIC = "https://github.com"
CALLBACK = "/api/auth/callback/github"
SECONDS = 15.0  # for all requests of one sign-in together
_PUBLIC_API = "https://api.github.com"
_SCOPE = "read:user user:email"
_BAD_CODE = "bad_verification_code"
_MAX_NAME_LENGTH = 120
_WITHHELD = (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND)  # the person has not granted the scope
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Identity:
    """`subject` is GitHub's numeric id, because logins can change hands. `email` is the verified primary one."""

    subject: str
    login: str
    name: str
    email: str | None


class _GitHubUser(BaseModel):
    model_config = ConfigDict(strict=True)

    id: Annotated[int, Field(gt=0)]
    login: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(clean_line)]
    name: str | None = None


class _Address(BaseModel):
    """Strict, so that only JSON's `true` counts as verified."""

    model_config = ConfigDict(strict=True)

    email: str
    primary: bool = False
    verified: bool = False


_ADDRESSES = TypeAdapter(list[_Address])
_EMAIL: TypeAdapter[str] = TypeAdapter(EmailStr)


class GitHubClient:
    def __init__(self, settings: Settings, *, seconds: float = SECONDS) -> None:
        self._id = settings.github_id
        self._secret = settings.github_secret
        self._base = settings.github_base_url
        self._api = _PUBLIC_API if self._base == PUBLIC else f"{self._base}/api/v3"
        self._redirect_uri = settings.origin + CALLBACK
        self._seconds = seconds

    @property
    def is_configured(self) -> bool:
        return bool(self._id and self._secret)

    @property
    def provider(self) -> str:
        """Contains the host of a GitHub Enterprise server, because ids are unique per server only."""
        return "github" if self._base == PUBLIC else f"github:{urlsplit(self._base).netloc}"

    def make_authorize_url(self, state: str, verifier: str, *, asks_which: bool) -> str:
        """The URL that the browser is redirected to. With `asks_which` GitHub asks which account to use."""
        url: str = prepare_grant_uri(
            f"{self._base}/login/oauth/authorize",
            client_id=self._id,
            response_type="code",
            redirect_uri=self._redirect_uri,
            scope=_SCOPE,
            state=state,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **({"prompt": "select_account"} if asks_which else {}),
        )
        return url

    async def identify(self, code: str, verifier: str, *, with_email: bool) -> Identity:
        """The identity behind a code. GitHubStale where the code is not valid, GitHubDown where GitHub fails."""
        note_waiting("GitHub")
        try:
            async with asyncio.timeout(self._seconds), self._open() as http:
                await http.fetch_token(
                    f"{self._base}/login/oauth/access_token",
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
                person = await self._get(http, "/user")
                addresses = await self._get(http, "/user/emails") if with_email else None
            return _read_identity(person, addresses or [])
        except OAuthError as error:
            raise _translate(error) from None
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            _log.warning("github.down", reason=type(error).__name__)
            raise GitHubDown from None

    async def _get(self, http: Any, path: str) -> Any:
        """None where the token has no access."""
        response = await http.get(f"{self._api}{path}", headers={"accept": "application/vnd.github+json"})
        if path != "/user" and response.status_code in _WITHHELD:
            return None
        response.raise_for_status()
        return response.json()

    def _open(self) -> Any:
        assert self._secret is not None  # the routes answer 404 without it
        return AsyncOAuth2Client(
            client_id=self._id,
            client_secret=self._secret.reveal(),
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            redirect_uri=self._redirect_uri,
            headers={"user-agent": "Basewarden"},
            verify=self._tls,
            timeout=self._seconds,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Created once, because it reads hundreds of certificates."""
        return httpx.create_ssl_context()


def _translate(error: Any) -> GitHubError:
    """A used or expired code means that the person tries again; other errors are logged for the operator."""
    if error.error == _BAD_CODE:
        return GitHubStale()
    _log.warning("github.refused", reason=str(error.error)[:80])
    return GitHubDown()


def _read_identity(person: Any, addresses: Any) -> Identity:
    account = _GitHubUser.model_validate(person)
    emails = [each.email for each in _ADDRESSES.validate_python(addresses) if each.primary and each.verified]
    return Identity(
        subject=str(account.id),
        login=account.login,
        name=_clean_name(account.name) or account.login,
        email=_clean_email(emails[0]) if emails else None,
    )


def _clean_name(name: str | None) -> str:
    try:
        return clean_line(name or "")[:_MAX_NAME_LENGTH]
    except ValueError:
        return ""


def _clean_email(email: str) -> str | None:
    """None for an address that could not sign up here."""
    try:
        return _EMAIL.validate_python(email)
    except ValidationError:
        return None
