"""Fixtures live in `tests/fixtures/`, one module a subject; they are named here."""

import gc

gc.disable()  # until all is imported, see tests/fixtures/interpreter.py

pytest_plugins = [
    "tests.fixtures.interpreter",
    "tests.fixtures.parts",
    "tests.fixtures.postgres",
    "tests.fixtures.serving",
    "tests.fixtures.app",
    "tests.fixtures.mail",
    "tests.fixtures.mailing",
    "tests.fixtures.twofactor",
    "tests.fixtures.members",
    "tests.fixtures.bench",
    "tests.fixtures.journal",
    "tests.fakes.dodo",
    "tests.fakes.github",
    "tests.fixtures.everything",
    "tests.secrets.plugin",
    "tests.sqlscan.plugin",
]
