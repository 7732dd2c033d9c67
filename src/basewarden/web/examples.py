"""Examples for the OpenAPI document: a model's own, else made of the names and types of its fields."""

import json
from collections.abc import Mapping
from typing import Any, Final

CHANGES: Final = "x-example"
"""What an answer's example has otherwise than its model, as JSON text: FastAPI removes nulls from its document."""

_JSON = "application/json"
_REFERENCE = "#/components/schemas/"
_UUID = "0198f3a2-7c1e-7d44-9b1a-2f6d0c5e8a31"
_MOMENT = "2026-11-27T14:02:11Z"
_SIGNING_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - of no deployment

_CONFLICT: Final = {
    "schema": "public",
    "table": "products",
    "primaryKey": {"id": 7},
    "columns": [{"name": "price", "before": 11.9, "session": 12.5, "now": 13.0}],
    "reason": "The price was changed after the session.",
    "id": "5f0c1b2e.9ad3c47b81e6",
}
_CONFLICTING: Final = {
    "planned": 5,
    "reverted": 0,
    "skipped": 0,
    "alreadyAsBefore": 0,
    "irreversible": [],
    "notes": [],
    "bringsBack": [],
    "undoSessionId": None,
    "previewToken": None,
    "conflicts": [_CONFLICT],
    "overwritten": [],
}

BY_NAME: Final[Mapping[str, tuple[Any, ...]]] = {
    "access": ("write",),
    "address": ("203.0.113.7",),
    "after": (0, {"id": 7, "name": "Desk lamp", "price": 12.5}),
    "afterExact": ({"id": "7", "name": "Desk lamp", "price": "12.50"},),
    "alreadyAsBefore": (0,),
    "agentsFrozenAt": (None,),
    "agent": ("price-bot",),
    "answer": ("ok",),
    "attempts": (1,),
    "agent_id": ("0198f3a2-8d2f-7e55-8c2b-3a7e1d6f9b42",),
    "agentId": ("0198f3a2-8d2f-7e55-8c2b-3a7e1d6f9b42",),
    "attestationObject": ("o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVg",),
    "authenticatorData": ("SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2M",),
    "bringsBack": ([],),
    "bypassesRls": (False,),
    "backend": ("direct",),
    "caller": ("price-bot",),
    "before": ({"id": 7, "name": "Desk lamp", "price": 11.9},),
    "beforeExact": ({"id": "7", "name": "Desk lamp", "price": "11.90"},),
    "cause": ("request",),
    "channel": ("webhook",),
    "checkoutUrl": ("https://checkout.example.com/session/cks_4f2a",),
    "claims": (None,),
    "clientDataJSON": ("eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",),
    "code": ("492817",),
    "comment": (None,),
    "conflicts": ([],),
    "connections": (3,),
    "columns": (["id"],),
    "connection_id": (_UUID,),
    "createdAt": ("2026-10-02T09:30:00Z",),
    "currentPassword": ("correct horse battery staple",),
    "cursor": (None,),
    "dbRole": (None,),
    "default": (None,),
    "deletionDueAt": (None,),
    "device": ("Firefox on Linux",),
    "disabledAt": (None,),
    "disabledReason": (None,),
    "durationMs": (412,),
    "email": ("ada@example.com",),
    "environment": ("production",),
    "error": ("access_denied",),
    "event": ("write_refused",),
    "events": (["session_frozen", "write_refused"],),
    "expires": ("2026-12-27T14:02:11Z",),
    "expiresAt": ("2027-06-30T00:00:00Z",),
    "failingSince": (None,),
    "frozenAt": (None,),
    "frozenReason": (None,),
    "firstAt": ("2026-11-27T13:58:40Z",),
    "github": ("ada",),
    "hint": (None,),
    "isReadOnly": (False,),
    "isSuperuser": (False,),
    "irreversible": (["Sequence values used by public.orders are not restored."],),
    "key": (
        None,
        "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl",
    ),
    "keyRole": (None,),
    "kind": ("agent", "table"),
    "label": ("autumn prices",),
    "latencyMs": (3.2,),
    "limit": (50,),
    "loginRole": ("app",),
    "maxRowsPerWrite": (1000,),
    "maxWritesPerSession": (500,),
    "member": ("owner",),
    "message": (None,),
    "method": ("PATCH",),
    "mfaRequired": (False,),
    "mode": ("apply",),
    "newPassword": ("seventeen purple kettles",),
    "next": ("/connections",),
    "nextAfter": (None,),
    "nextCursor": (None,),
    "notes": ([],),
    "otpauthUrl": ("otpauth://totp/Basewarden:ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Basewarden",),
    "outcome": ("applied",),
    "pausedAt": (None,),
    "passkey_id": ("0198f3a5-2a6b-7bb9-8e5d-6c0f4a1b2c75",),
    "password": ("correct horse battery staple",),
    "pendingCount": (0,),
    "planned": (5,),
    "plan": ("team",),
    "postgresUrl": ("postgresql://app:secret@db.example.com:5432/shop",),
    "previewToken": ("v1.9f2c6d0b5e8a",),
    "problem": (None,),
    "primaryKey": ({"id": 7}, ["id"]),
    "pruned": ({"journal_mutations": 1200, "audit_events": 0},),
    "publicKey": ({"challenge": "mZ3x0wq7bA", "rpId": "example.com", "timeout": 60000},),
    "qrDataUrl": ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",),
    "reason": (None, "Changed since by another caller."),
    "refusedCount": (0,),
    "reverted": (5,),
    "readableTables": (14,),
    "recovery": (False,),
    "recoveryCodesLeft": (10,),
    "recoveryCodes": (["k7dm-42qx", "p9tn-83wf"],),
    "role": ("app",),
    "schema": ("public",),
    "schemas": (None,),
    "secret": ("JBSWY3DPEHPK3PXP",),
    "serverVersion": ("17.2",),
    "session_id": ("0198f3a4-1b4c-7aa8-9d4c-5b9f3e8a0c64",),
    "sessionId": ("0198f3a4-1b4c-7aa8-9d4c-5b9f3e8a0c64",),
    "signature": ("MEUCIQDx3mJZ7cQ0uY5l1b2c3d4e5f6a7b8c9d0",),
    "skipped": (0,),
    "since": ("2026-11-27T00:00:00Z",),
    "startedAt": ("2026-11-27T13:58:40Z",),
    "state": ("committed", "active"),
    "status": ("active", "ok"),
    "summary": ("PATCH /products?id=eq.7",),
    "table": ("public.products", "products"),
    "tables": (["public.products"], 14),
    "target": ("https://hooks.example.com/basewarden",),
    "tellsSchema": (None,),
    "token": ("bw_8f3kQz1mVx7n",),
    "tokenHint": ("bw_8f3k",),
    "transports": (["internal"],),
    "type": ("public-key", "bigint"),
    "undoOf": (None,),
    "undoSessionId": ("0198f3a6-3c7d-7cc1-8f6e-7d1a5b2c3d86",),
    "unseen": ([],),
    "unknownCount": (0,),
    "until": ("2026-12-27T14:02:11Z",),
    "url": (None, "https://pay.example.com/p/4f2a"),
    "userHandle": ("MDE5OGYzYTI",),
    "verb": ("update",),
    "version": ("1.0.0",),
}
"""What a field of this name is likely to hold: the first one that its schema allows."""

BY_MEMBER: Final[Mapping[str, Any]] = {
    "AccountOut.name": "Ada",
    "AccountOut.passkeys": 1,
    "AlertCreated.secret": _SIGNING_SECRET,
    "AlertCreated.state": "working",
    "AlertCreated.target": "hooks.example.com/\u2026rden",
    "AlertDeliveryOut.error": None,
    "AlertDeliveryOut.state": "delivered",
    "AlertDeliveryOut.status": 200,
    "AlertOut.state": "working",
    "AlertOut.target": "hooks.example.com/\u2026rden",
    "AlertSecretOut.secret": _SIGNING_SECRET,
    "AgentCreate.name": "price-bot",
    "AgentCreated.id": "0198f3a2-8d2f-7e55-8c2b-3a7e1d6f9b42",
    "AgentOut.id": "0198f3a2-8d2f-7e55-8c2b-3a7e1d6f9b42",
    "AgentOut.name": "price-bot",
    "AuthenticationResponse.id": "pPz1mVx7nQ3ux5Jc",
    "AuthorizationLink.url": "https://github.com/login/oauth/authorize?client_id=Iv1.4f2a&state=9f2c",
    "BillingOut.state": "active",
    "ConfirmEmail.token": "9Vq3ux5Jc0mZ2sT7",
    "DeletionOut.deletionDueAt": "2026-12-27T14:02:11Z",
    "PasskeyAdded.name": "Laptop",
    "PasskeyOut.name": "Laptop",
    "PasskeyRegistration.name": "Laptop",
    "PasskeyRename.name": "Laptop",
    "ProfileUpdate.name": "Ada",
    "ReceiptOut.previewToken": None,
    "RegistrationResponse.id": "pPz1mVx7nQ3ux5Jc",
    "ResetPassword.token": "9Vq3ux5Jc0mZ2sT7",
    "RoleOut.name": "anon",
    "SignInSessionOut.method": "password",
    "SignUp.name": "Ada",
    "UndoConflictOut.conflicts": [_CONFLICT],
    "UndoConflictOut.details": _CONFLICTING,
    "UndoConflictOut.irreversible": [],
    "UndoConflictOut.previewToken": None,
    "UndoConflictOut.reverted": 0,
    "UndoConflictOut.undoSessionId": None,
    "UserOut.name": "Ada",
}
"""Where the name alone does not say it: `Model.member`."""

BY_FORMAT: Final[Mapping[str, str]] = {"uuid": _UUID, "date-time": _MOMENT, "uri": "https://example.com/"}
_BY_TYPE: Final[Mapping[str, Any]] = {"boolean": True, "integer": 1, "number": 1.5, "string": "Shop", "null": None}
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}


def add_examples(document: Mapping[str, Any]) -> None:
    """Gives each request body, answer and required parameter of the document an example where it has none."""
    schemas = document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
            if body:
                body.setdefault("example", _leave_out_nulls(make_example(body["schema"], schemas)))
            for answer in operation["responses"].values():
                changes = json.loads(answer.pop(CHANGES, "{}"))
                for content in answer.get("content", {}).values():
                    content.setdefault("example", _change(make_example(content["schema"], schemas), changes))
            for parameter in operation.get("parameters", ()):
                if parameter["required"]:
                    parameter.setdefault("example", make_example(parameter["schema"], schemas, parameter["name"]))


def make_example(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "") -> Any:
    """A value that the schema allows and that looks like a real one."""
    if "$ref" in schema:
        return make_example(_resolve(schema, schemas), schemas, name)
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    choices = schema.get("anyOf", (schema,))
    for value in BY_NAME.get(name, ()):
        if any(_allows(choice, value) for choice in choices):
            return value
    return _make_by_type(choices[0], schemas, name)


def _change(example: Any, changes: Mapping[str, Any]) -> Any:
    return {**example, **changes} if changes else example


def _leave_out_nulls(body: Any) -> Any:
    return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body


def _make_by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str) -> Any:
    if "$ref" in schema:
        return make_example(schema, schemas, name)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        title = schema.get("title", "")
        return {key: _make_member(title, key, inner, schemas) for key, inner in schema["properties"].items()}
    if kind == "object":
        return {}
    if kind == "array":
        return [make_example(schema.get("items", {}), schemas, name)]
    return BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(str(kind)))


def _make_member(title: str, key: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    own = f"{title}.{key}"
    return BY_MEMBER[own] if own in BY_MEMBER else make_example(schema, schemas, key)


def _allows(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a simple value is one of the schema's, as far as its type and enumeration say."""
    kind = str(schema.get("type"))
    if value is None:
        return kind == "null"
    if "$ref" in schema or kind not in _TYPES or (isinstance(value, bool) and kind != "boolean"):
        return False
    if isinstance(value, list) and not all(_allows(schema.get("items", {}), item) for item in value):
        return False
    if schema.get("format") == "uri" and not str(value).startswith("https:"):
        return False
    return isinstance(value, _TYPES[kind]) and value in schema.get("enum", (value,))


def _resolve(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schemas[schema["$ref"].removeprefix(_REFERENCE)]
    return found
