"""Pages: the second step of signing in, and two-factor authentication in the settings. They work without JavaScript."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import AlreadyOn, BadCode, MfaRequired, ReauthRequired
from basewarden.accounts.passkeys import count_passkeys
from basewarden.accounts.password.schemas import reveal
from basewarden.accounts.return_path import SECOND_STEP, confirm_path, safe_path, signin_path
from basewarden.accounts.signin.callers import HalfSignedIn, SignedIn, SignInSessionsDep
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.signin.sessions import Person
from basewarden.accounts.twofactor.codes import COUNT, FEW, read_code
from basewarden.accounts.twofactor.forms import SentCode, TwoFactorDisable, TwoFactorEnable
from basewarden.accounts.twofactor.routes import TwoFactorDep
from basewarden.accounts.twofactor.service import NewCodes, TwoFactor, TwoFactorState, describe_state
from basewarden.core.secret import Secret
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import AppError, Conflict, Unauthenticated
from basewarden.settings import Settings
from basewarden.web import (
    Form,
    Pages,
    PagesDep,
    Reading,
    SettingsDep,
    Writing,
    anyone,
    parse_form,
    redirect,
    show_again,
)

router = APIRouter(include_in_schema=False)

HERE = "/settings/account/2fa"
_SIGNIN = "accounts/twofactor/signin.html"
_SETTINGS = "accounts/twofactor/settings.html"
_SETUP = "accounts/twofactor/setup.html"
_CODES = "accounts/twofactor/codes.html"
_TAB = "2fa"
_SECRETS = ("code", "recoveryCode", "secret", "password")
_DONE = {
    "off": "Two-factor authentication is off. Your recovery codes no longer work.",
    "on": "Two-factor authentication is already on.",
    "again": "That page has expired. Start again here.",
}


class SecondStep(BaseModel):
    """One of the two codes is required; `next` is checked where it is used."""

    model_config = ConfigDict(extra="forbid")

    code: SentCode | None = None
    recovery_code: Annotated[SentCode | None, Field(alias="recoveryCode")] = None
    next: str = ""

    @model_validator(mode="after")
    def _check_given(self) -> Self:
        if self.code is None and self.recovery_code is None:
            raise ValueError("Enter the code first.")
        return self

    @property
    def given(self) -> Secret:
        chosen = self.recovery_code or self.code
        assert chosen is not None  # checked above
        return reveal(chosen)


def _check_codes(text: str) -> str:
    """Accepts only text in the format of recovery codes, because the text is returned as a file."""
    codes = [read_code(Secret(line)) for line in text.split()]
    if not codes or not all(codes):
        raise ValueError("contains something other than recovery codes")
    return "\n".join(code.show() for code in codes if code)


class Saving(BaseModel):
    model_config = ConfigDict(extra="forbid")

    codes: Annotated[str, Field(max_length=COUNT * 24), AfterValidator(_check_codes)]


@router.get(SECOND_STEP, dependencies=[Depends(anyone)])
async def get_second_step(request: Request, session: Reading, pages: PagesDep, signins: SignInSessionsDep) -> Response:
    """Shows the form where the second factor is missing; otherwise redirects to the page or to the sign-in."""
    back_to = safe_path(request.query_params.get("next"))
    try:
        person = await signins.find_signed_in(request.scope)
    except MfaRequired:
        half = await signins.find_half_signed_in(request.scope)
        has_passkeys = half is not None and await count_passkeys(session, half.id) > 0
        context: dict[str, Any] = {"typed": {"next": back_to}, "errors": {}, "hint": None, "is_recovery": False}
        return pages.render(request, _SIGNIN, has_passkeys=has_passkeys, **context)
    except Unauthenticated:
        person = None
    return redirect(back_to if person else signin_path(back_to))


@router.post(SECOND_STEP)
async def post_second_step(
    *,
    request: Request,
    person: HalfSignedIn,
    session: Writing,
    pages: PagesDep,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, SecondStep)
    context: dict[str, Any] = {
        "is_recovery": bool(form.typed.get("recoveryCode")),
        "has_passkeys": await count_passkeys(ReadSession(session), person.id) > 0,
    }
    if form.data is None:
        return show_again(request, pages, _SIGNIN, form, never_shown=_SECRETS, hint=None, **context)
    try:
        is_recovery = context["is_recovery"]
        tokens = await two_factor.verify(session, person, form.data.given, client_info, is_recovery=is_recovery)
    except AppError as error:
        field = ("recoveryCode" if is_recovery else "code") if isinstance(error, BadCode) else ""
        return show_again(
            request, pages, _SIGNIN, form, error, never_shown=_SECRETS, error_field=field, hint=error.hint, **context
        )
    response = redirect(safe_path(form.data.next))
    set_signin_cookies(response, settings, tokens)
    return response


@router.get(HERE)
async def get_settings(request: Request, person: SignedIn, session: Reading, pages: PagesDep) -> Response:
    done = _DONE.get(request.query_params.get("done", ""))
    state = await describe_state(session, person.id)
    return pages.render(request, _SETTINGS, errors={}, done=done, **_describe(person, state))


@router.post(f"{HERE}/setup")
async def post_setup(
    request: Request, person: SignedIn, session: Writing, pages: PagesDep, two_factor: TwoFactorDep
) -> Response:
    """Requires a fresh sign-in before the app scans the code, not after."""
    if person.has_two_factor:
        return redirect(f"{HERE}?done=on")
    if not person.is_fresh:
        return redirect(confirm_path(HERE))
    setup = await two_factor.set_up(session, person)
    return pages.render(request, _SETUP, errors={}, hint=None, settings_tab=_TAB, setup=setup)


@router.post(f"{HERE}/enable")
async def post_enable(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, TwoFactorEnable)
    if form.data is None:
        return await _show_setup_again(request, pages, form, None, two_factor, person)
    try:
        new = await two_factor.enable(session, person, reveal(form.data.secret), reveal(form.data.code), client_info)
    except AlreadyOn:
        return redirect(f"{HERE}?done=on")
    except ReauthRequired:
        return redirect(confirm_path(HERE))
    except BadCode as error:
        return await _show_setup_again(request, pages, form, error, two_factor, person)
    return _show_codes(request, pages, settings, new, is_first=True)


@router.post(f"{HERE}/disable")
async def post_disable(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, TwoFactorDisable, **({} if person.has_password else {"password": ""}))
    if form.data is None:
        return await _show_settings_again(request, session, pages, form, None, person)
    try:
        tokens = await two_factor.disable(session, person, reveal(form.data.password), client_info)
    except ReauthRequired:
        return redirect(confirm_path(HERE))
    except AppError as error:
        return await _show_settings_again(request, session, pages, form, error, person)
    response = redirect(f"{HERE}?done=off")
    set_signin_cookies(response, settings, tokens)
    return response


@router.post(f"{HERE}/recovery-codes")
async def post_recovery_codes(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    if not person.is_fresh:
        return redirect(confirm_path(HERE))
    try:
        new = await two_factor.renew_codes(session, person, client_info)
    except Conflict:
        return redirect(HERE)
    return _show_codes(request, pages, settings, new, is_first=False)


@router.post(f"{HERE}/recovery-codes/file")
async def post_codes_file(request: Request, _: SignedIn) -> Response:
    """Returns the codes that the page has just shown as a file. The page sends them, because only hashes are stored."""
    form = await parse_form(request, Saving)
    if form.data is None:
        return redirect(f"{HERE}?done=again")
    text = f"Recovery codes of Basewarden. Each works once.\n\n{form.data.codes}\n"
    headers = {"content-disposition": 'attachment; filename="basewarden-recovery-codes.txt"'}
    return PlainTextResponse(text, headers=headers)


def _describe(person: Person, state: TwoFactorState) -> dict[str, Any]:
    return {
        "settings_tab": _TAB,
        "state": state,
        "is_fresh": person.is_fresh,
        "has_password": person.has_password,
        "confirm_href": confirm_path(HERE),
        "all_codes": COUNT,
        "few_codes": FEW,
    }


def _show_codes(request: Request, pages: Pages, settings: Settings, new: NewCodes, *, is_first: bool) -> Response:
    codes = [code.show() for code in new.codes]
    response = pages.render(request, _CODES, settings_tab=_TAB, codes=codes, is_first=is_first)
    set_signin_cookies(response, settings, new.tokens)
    return response


async def _show_setup_again(
    request: Request,
    pages: Pages,
    form: Form[TwoFactorEnable],
    error: AppError | None,
    two_factor: TwoFactor,
    person: Person,
) -> Response:
    """Shows the setup again only with the pending secret, so that another pending secret is not revealed."""
    setup = await two_factor.find_set_up(person, Secret(form.typed.get("secret", "")))
    if setup is None:
        return redirect(f"{HERE}?done=again")
    return show_again(
        request,
        pages,
        _SETUP,
        form,
        error,
        never_shown=_SECRETS,
        error_field="code" if isinstance(error, BadCode) else "",
        hint=error.hint if error else None,
        settings_tab=_TAB,
        setup=setup,
    )


async def _show_settings_again(
    request: Request,
    session: WriteSession,
    pages: Pages,
    form: Form[TwoFactorDisable],
    error: AppError | None,
    person: Person,
) -> Response:
    state = await describe_state(session, person.id)
    context = _describe(person, state)
    return show_again(request, pages, _SETTINGS, form, error, never_shown=_SECRETS, done=None, **context)
