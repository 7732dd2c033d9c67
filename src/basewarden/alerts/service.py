"""Alerts of a connection: created, deleted, turned on again, with new secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from basewarden.accounts import Person
from basewarden.alerts import queries
from basewarden.alerts.errors import AlertExists, NotSigned, TooManyAlerts
from basewarden.alerts.models import Alert, AlertChannel
from basewarden.alerts.schemas import AlertCreate
from basewarden.alerts.targets import TargetURL, parse_saved_target, parse_target
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.connections import ConnectionFailed, Membership, pin_host
from basewarden.core.ids import make_id, parse_id
from basewarden.core.secret import Secret
from basewarden.core.webhooks import make_signing_secret
from basewarden.db import ReadSession, WriteSession, note_waiting
from basewarden.errors import Invalid, NotConfigured, NotFound
from basewarden.mail import Mail
from basewarden.settings import Settings
from basewarden.vault import SealContext, Vault

MAX_ALERTS = 10
OLD_SECRET_TTL = timedelta(hours=24)
"""After a rotation, messages are signed with both secrets for this long."""
_TARGET, _SECRET, _OLD_SECRET = "alerts.sealed_target", "alerts.sealed_secret", "alerts.sealed_old_secret"


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An alert with the secret that signs its messages, if it is a webhook; the secret cannot be shown again."""

    alert: Alert
    secret: Secret | None


class Alerts:
    def __init__(self, *, vault: Vault, audit: Audit, mail: Mail, settings: Settings) -> None:
        self._vault = vault
        self._audit = audit
        self._mail = mail
        self._allow_private = settings.allow_private_addresses

    @property
    def can_email(self) -> bool:
        return self._mail.is_configured

    async def create(
        self, session: WriteSession, member: Membership, wanted: AlertCreate, client_info: ClientInfo
    ) -> NewAlert:
        """Raises Invalid for a target that may not get messages, TooManyAlerts and AlertExists."""
        target = await self._check_target(wanted, member.person)
        connection_id = member.connection.id
        await queries.lock_connection(session, connection_id)
        self._check_room(await queries.list_alerts(session, connection_id), target, member.person)
        made = self._make(wanted, target, member)
        await queries.insert_alert(session, made.alert)
        await self._record(session, EventKind.ALERT_CREATED, made.alert, member.person, client_info)
        return made

    async def get(self, session: ReadSession | WriteSession, connection_id: UUID, alert_id: str) -> Alert:
        known = parse_id(alert_id)
        alert = await queries.find_alert(session, connection_id, known) if known else None
        if alert is None:
            raise NotFound("There is no such alert.")
        return alert

    async def delete(self, session: WriteSession, member: Membership, alert_id: str, client_info: ClientInfo) -> None:
        known = parse_id(alert_id)
        alert = await queries.delete_alert(session, member.connection.id, known) if known else None
        if alert is None:
            raise NotFound("There is no such alert.")
        await self._record(session, EventKind.ALERT_DELETED, alert, member.person, client_info)

    async def enable(self, session: WriteSession, connection_id: UUID, alert_id: str) -> Alert:
        """Turns an alert on again, from now on; one that is on stays as it is."""
        alert = await self._lock(session, connection_id, alert_id)
        if alert.disabled_at is not None:
            alert.disabled_at = alert.disabled_reason = alert.failing_since = None
        return alert

    async def rotate_secret(
        self, session: WriteSession, member: Membership, alert_id: str, client_info: ClientInfo
    ) -> NewAlert:
        """Replaces the secret of a webhook. The old one signs beside it for a day."""
        alert = await self._lock(session, member.connection.id, alert_id)
        if alert.sealed_secret is None:
            raise NotSigned
        old = self._vault.open(alert.sealed_secret, SealContext(_SECRET, alert.id))
        secret = make_signing_secret()
        alert.sealed_secret = self._seal(_SECRET, alert.id, secret)
        alert.sealed_old_secret = self._seal(_OLD_SECRET, alert.id, old)
        alert.old_secret_until = datetime.now(UTC) + OLD_SECRET_TTL
        await self._record(session, EventKind.ALERT_SECRET_ROTATED, alert, member.person, client_info)
        return NewAlert(alert, secret)

    def open_target(self, alert: Alert) -> TargetURL:
        assert alert.sealed_target is not None
        return parse_saved_target(self._vault.open(alert.sealed_target, SealContext(_TARGET, alert.id)).reveal())

    def open_secrets(self, alert: Alert) -> tuple[str, ...]:
        """Returns the secrets that sign a message now, the newest first; none where messages are not signed."""
        if alert.sealed_secret is None:
            return ()
        secrets = [self._vault.open(alert.sealed_secret, SealContext(_SECRET, alert.id))]
        if alert.sealed_old_secret is not None and alert.has_old_secret:
            secrets.append(self._vault.open(alert.sealed_old_secret, SealContext(_OLD_SECRET, alert.id)))
        return tuple(secret.reveal() for secret in secrets)

    async def _check_target(self, wanted: AlertCreate, person: Person) -> TargetURL | None:
        """Returns None for the person's own address. Looks the host up, so that a private one is refused at once."""
        given = wanted.target.get_secret_value() if wanted.target else ""
        if wanted.channel is AlertChannel.EMAIL:
            self._check_own_address(given, person)
            return None
        if not given:
            raise Invalid.field("target", "Paste the URL that messages are sent to.")
        try:
            target = parse_target(given, wanted.channel, allow_private=self._allow_private)
            note_waiting("an alert's host")
            await pin_host(target.address.host, target.address.port, allow_private=self._allow_private)
        except ValueError as error:
            raise Invalid.field("target", str(error)) from None
        except ConnectionFailed as error:
            raise Invalid.field("target", error.text) from None
        return target

    def _check_own_address(self, target: str, person: Person) -> None:
        """Only to oneself: so each recipient has agreed, and can delete the alert."""
        if not self._mail.is_configured:
            raise NotConfigured("This deployment has no mail server.")
        if target and target.strip().casefold() != person.email.casefold():
            raise Invalid.field(
                "target", "Emails go to your own address only. Others can create an alert of their own."
            )
        if not person.is_verified:
            raise Invalid.field("target", "Confirm your email address first.")

    def _check_room(self, alerts: Sequence[Alert], target: TargetURL | None, person: Person) -> None:
        for alert in alerts:
            is_same = alert.user_id == person.id if target is None else self._is_target(alert, target)
            if is_same:
                raise AlertExists
        if len(alerts) >= MAX_ALERTS:
            raise TooManyAlerts

    def _is_target(self, alert: Alert, target: TargetURL) -> bool:
        return alert.sealed_target is not None and self.open_target(alert) == target

    def _make(self, wanted: AlertCreate, target: TargetURL | None, member: Membership) -> NewAlert:
        alert_id = make_id()
        secret = make_signing_secret() if wanted.channel is AlertChannel.WEBHOOK else None
        alert = Alert(
            id=alert_id,
            connection_id=member.connection.id,
            channel=wanted.channel,
            user_id=member.person.id if target is None else None,
            sealed_target=self._seal(_TARGET, alert_id, Secret(target.reveal())) if target else None,
            target_hint=target.hint if target else None,
            sealed_secret=self._seal(_SECRET, alert_id, secret) if secret else None,
            events=[str(event) for event in wanted.events],
            created_by=member.person.id,
            created_at=datetime.now(UTC),
        )
        return NewAlert(alert, secret)

    def _seal(self, column: str, alert_id: UUID, value: Secret) -> bytes:
        return self._vault.seal(value, SealContext(column, alert_id))

    async def _lock(self, session: WriteSession, connection_id: UUID, alert_id: str) -> Alert:
        known = parse_id(alert_id)
        alert = await queries.lock_alert(session, known) if known else None
        if alert is None or alert.connection_id != connection_id:
            raise NotFound("There is no such alert.")
        return alert

    async def _record(
        self, session: WriteSession, kind: EventKind, alert: Alert, person: Person, client_info: ClientInfo
    ) -> None:
        facts = {"connection": str(alert.connection_id), "channel": alert.channel}
        await self._audit.record(session, AccountEvent(person.audit_id, kind, client_info, facts))
