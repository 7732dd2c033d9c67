/**
 * A button with data-passkey="<ceremony>" asks the browser for a passkey, shows it to the server and goes on to data-next;
 * with data-passkey-sends it sends the form that it is in instead, which then needs no other proof.
 */
import { onClick } from "./events.js";

/** Nothing of ours asks for extensions, whose parts would be bytes too. */
type CreationJSON = Omit<PublicKeyCredentialCreationOptionsJSON, "extensions">;
type RequestJSON = Omit<PublicKeyCredentialRequestOptionsJSON, "extensions">;

interface Offer {
  challengeId: string;
  publicKey: unknown;
}

const PLACES: Record<string, string> = {
  add: "/api/account/passkeys",
  signin: "/api/auth/passkey",
  second: "/api/account/2fa/passkey",
  reauth: "/api/account/reauth/passkey",
};

const CONFIRM = "/settings/account/confirm";

/** What the server answered when it did not go well; its words are meant for people. */
class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function toText(bytes: ArrayBuffer): string {
  const binary = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function readKeys(keys: PublicKeyCredentialDescriptorJSON[] = []): PublicKeyCredentialDescriptor[] {
  return keys.map(({ id, transports }) => ({
    type: "public-key",
    id: toBytes(id),
    ...(transports ? { transports: transports as AuthenticatorTransport[] } : {}),
  }));
}

async function send<T>(path: string, body?: unknown): Promise<T> {
  const answer = await fetch(path, {
    method: "POST",
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  const said = (await answer.json().catch(() => ({}))) as { code?: string; message?: string };
  if (answer.ok) return said as T;
  throw new Refusal(said.code ?? "", said.message ?? `The server returned an error (${answer.status}).`);
}

async function make(offer: Offer): Promise<unknown> {
  const options = offer.publicKey as CreationJSON;
  const credential = (await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      user: { ...options.user, id: toBytes(options.user.id) },
      excludeCredentials: readKeys(options.excludeCredentials),
    } as PublicKeyCredentialCreationOptions,
  })) as PublicKeyCredential;
  const response = credential.response as AuthenticatorAttestationResponse;
  return {
    id: credential.id,
    type: credential.type,
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      attestationObject: toText(response.attestationObject),
      transports: response.getTransports(),
    },
  };
}

async function show(offer: Offer): Promise<unknown> {
  const options = offer.publicKey as RequestJSON;
  const credential = (await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      allowCredentials: readKeys(options.allowCredentials),
    } as PublicKeyCredentialRequestOptions,
  })) as PublicKeyCredential;
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    id: credential.id,
    type: credential.type,
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      authenticatorData: toText(response.authenticatorData),
      signature: toText(response.signature),
      userHandle: response.userHandle ? toText(response.userHandle) : null,
    },
  };
}

function nameToday(): string {
  const day = new Date().toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `Passkey of ${day}`;
}

function explain(error: unknown, ceremony: string): string {
  if (error instanceof Refusal) return error.message;
  if (!(error instanceof DOMException)) return "The server cannot be reached. Try again.";
  switch (error.name) {
    case "NotAllowedError":
    case "AbortError":
      return ceremony === "add"
        ? "Cancelled, or timed out. No passkey was added."
        : "Cancelled, or timed out, or this device has no passkey for this site.";
    case "InvalidStateError":
      return "This device already has a passkey for this account.";
    case "SecurityError":
      return "Passkeys do not work at this address: the browser requires https and a host name.";
    case "ConstraintError":
    case "NotSupportedError":
      return "This device cannot store a passkey that checks your fingerprint, face or PIN.";
    default:
      return `The browser reported an error (${error.name}).`;
  }
}

/** A path of this site, whatever stands in the page. */
function readNext(button: HTMLElement): string {
  const next = new URL(button.dataset["next"] || "/", location.origin);
  return next.origin === location.origin ? next.href : "/";
}

async function hold(ceremony: string, button: HTMLElement): Promise<void> {
  const place = PLACES[ceremony] ?? "";
  const offer = await send<Offer>(`${place}/options`);
  const credential = ceremony === "add" ? await make(offer) : await show(offer);
  const typed = button.closest("form")?.querySelector<HTMLInputElement>("input[name='name']")?.value.trim();
  const name = ceremony === "add" ? { name: typed || nameToday() } : {};
  await send(place, { challengeId: offer.challengeId, credential, ...name });
}

function sendForm(button: HTMLElement): void {
  const form = button.closest("form");
  button.closest("[data-confirm-identity]")?.remove();
  form?.requestSubmit();
}

async function run(button: HTMLElement): Promise<void> {
  if (button.getAttribute("aria-disabled") === "true") return;
  const ceremony = button.dataset["passkey"] ?? "";
  const status = document.getElementById(button.getAttribute("aria-describedby") ?? "");
  const say = (text: string, isError: boolean): void => {
    if (!status) return;
    status.className = isError ? "field-error" : "field-hint";
    status.textContent = text;
  };
  if (!("PublicKeyCredential" in window)) return say("This browser cannot use passkeys here.", true);
  button.setAttribute("aria-disabled", "true");
  button.classList.add("is-disabled");
  say("Waiting for your passkey…", false);
  try {
    await hold(ceremony, button);
    say("Done. Redirecting…", false);
    if (button.dataset["passkeySends"] === undefined) location.assign(readNext(button));
    else sendForm(button);
  } catch (error) {
    if (error instanceof Refusal && error.code === "reauth_required") {
      return location.assign(`${CONFIRM}?next=${encodeURIComponent(location.pathname)}`);
    }
    say(explain(error, ceremony), true);
    button.removeAttribute("aria-disabled");
    button.classList.remove("is-disabled");
  }
}

onClick("[data-passkey][type='button']", (button) => void run(button));

document.addEventListener("submit", (event) => {
  if (!(event.target instanceof HTMLFormElement) || !event.target.matches("[data-passkey-form]")) return;
  event.preventDefault();
  const button = event.target.querySelector<HTMLElement>("[data-passkey]");
  if (button) void run(button);
});
