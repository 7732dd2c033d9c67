"""What may leak: what each kind is called, what a stranger could do with it, and what to do now."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class LeakKind(StrEnum):
    SUPABASE_SECRET = "supabase_secret_key"  # noqa: S105 - the name of a kind
    SERVICE_ROLE = "service_role_key"
    SUPABASE_TOKEN = "supabase_access_token"  # noqa: S105 - the name of a kind
    DATABASE_URL = "database_url"
    PRIVATE_KEY = "private_key"
    STRIPE = "stripe_secret_key"
    AWS = "aws_secret_access_key"
    OPENAI = "openai_key"
    ANTHROPIC = "anthropic_key"
    GITHUB = "github_token"
    SLACK = "slack_token"
    SENDGRID = "sendgrid_key"
    AGENT_TOKEN = "agent_token"  # noqa: S105 - the name of a kind


class PublicKind(StrEnum):
    """What may be read by everyone."""

    PUBLISHABLE = "publishable_key"
    ANON = "anon_key"
    DEMO = "demo_key"
    EXPIRED = "expired_key"
    STRIPE_PUBLISHABLE = "stripe_publishable_key"
    PLACEHOLDER = "placeholder"


class LeakWords(NamedTuple):
    """`now` is what to do; `href` leads to where it is done, where there is one place."""

    name: str
    danger: str
    now: str
    href: str | None = None


LEAKS: Final[Mapping[LeakKind, LeakWords]] = {
    LeakKind.SUPABASE_SECRET: LeakWords(
        "Supabase secret key",
        "Read, change and delete every row and file of the project, past all policies.",
        "In Supabase, open Project Settings, API Keys. Create a new secret key, use it on your server, then delete "
        "this one.",
        "https://supabase.com/dashboard/project/_/settings/api-keys",
    ),
    LeakKind.SERVICE_ROLE: LeakWords(
        "service_role key",
        "Read, change and delete every row and file of the project, past all policies.",
        "In Supabase, open Project Settings, API Keys. Move your server to a secret key (sb_secret_…), then disable "
        "the legacy keys; rotating the project's JWT secret also ends this one, and the anon key with it.",
        "https://supabase.com/dashboard/project/_/settings/api-keys",
    ),
    LeakKind.SUPABASE_TOKEN: LeakWords(
        "Supabase personal access token",
        "Manage all projects of the account: read their keys, pause them, delete them.",
        "In Supabase, open Account, Access Tokens, and revoke it.",
        "https://supabase.com/dashboard/account/tokens",
    ),
    LeakKind.DATABASE_URL: LeakWords(
        "Database URL with a password",
        "Connect to the database directly, with all rights of its user, past the API and past policies.",
        "Change the password of the database user (in Supabase: Project Settings, Database, Reset password), then "
        "update every server that uses it.",
    ),
    LeakKind.PRIVATE_KEY: LeakWords(
        "Private key",
        "Be whatever the key proves: a server, a service account, or who signs tokens.",
        "Find out what the key belongs to, create a new pair there, and remove the old public key everywhere.",
    ),
    LeakKind.STRIPE: LeakWords(
        "Stripe secret key",
        "Read customers and payments, refund and charge them.",
        "In Stripe, open Developers, API keys, and roll it.",
        "https://dashboard.stripe.com/apikeys",
    ),
    LeakKind.AWS: LeakWords(
        "AWS secret access key",
        "Use the AWS account with all rights of its user, at your cost.",
        "In AWS, open IAM, Users, Security credentials. Deactivate the access key, create another, then delete it.",
    ),
    LeakKind.OPENAI: LeakWords(
        "OpenAI API key",
        "Run models at your cost, and read files and assistants of the project.",
        "In OpenAI, open API keys, revoke it, and call the API from your server only.",
        "https://platform.openai.com/api-keys",
    ),
    LeakKind.ANTHROPIC: LeakWords(
        "Anthropic API key",
        "Run models at your cost.",
        "In the Anthropic Console, open API keys, delete it, and call the API from your server only.",
    ),
    LeakKind.GITHUB: LeakWords(
        "GitHub token",
        "Read and change whatever repositories its owner gave it.",
        "In GitHub, open Settings, Developer settings, and revoke it.",
        "https://github.com/settings/tokens",
    ),
    LeakKind.SLACK: LeakWords(
        "Slack token",
        "Read and write in the workspace as the app or person that it belongs to.",
        "In Slack, open the app's page, OAuth & Permissions, and revoke its tokens.",
    ),
    LeakKind.SENDGRID: LeakWords(
        "SendGrid API key",
        "Send email in your name.",
        "In SendGrid, open Settings, API Keys, and delete it.",
    ),
    LeakKind.AGENT_TOKEN: LeakWords(
        "Basewarden agent token",
        "Use a connection as the agent that it belongs to.",
        "Here, open the agent, and press Rotate token.",
    ),
}
PUBLIC: Final[Mapping[PublicKind, tuple[str, str]]] = {
    PublicKind.PUBLISHABLE: ("Supabase publishable key", "It is made to be public. Row level security limits it."),
    PublicKind.ANON: ("anon key", "It is made to be public. Row level security limits it."),
    PublicKind.DEMO: ("Key of Supabase's local demo", "It is the same on every machine, and opens no hosted project."),
    PublicKind.EXPIRED: ("Expired key", "The time in it is over, so no server should accept it."),
    PublicKind.STRIPE_PUBLISHABLE: ("Stripe publishable key", "It is made to be public."),
    PublicKind.PLACEHOLDER: ("Placeholder", "It has the shape of a secret, and the text of an example."),
}
"""Name, and why it is allowed."""
