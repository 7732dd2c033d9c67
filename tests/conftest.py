"""Fixtures live in `tests/fixtures/`, one module a subject; they are named here."""

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.app", "tests.fixtures.bench", "tests.secrets.plugin"]
