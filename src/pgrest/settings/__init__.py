"""PostgREST's configuration: its file, its `PGRST_…` variables, and its settings in the database."""

from pgrest.settings.build import locate
from pgrest.settings.dump import dump_settings, write_example
from pgrest.settings.errors import BadSettings
from pgrest.settings.model import Binding, LogLevel, PoolSettings, ServerSettings
from pgrest.settings.source import DATABASE_NAMES, Source, load_settings
from pgrest.settings.table import SETTINGS, Setting

__all__ = [
    "DATABASE_NAMES",
    "SETTINGS",
    "BadSettings",
    "Binding",
    "LogLevel",
    "PoolSettings",
    "ServerSettings",
    "Setting",
    "Source",
    "dump_settings",
    "load_settings",
    "locate",
    "write_example",
]
