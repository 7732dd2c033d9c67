"""Where settings come from. The database has priority over the environment, and that over the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pgrest.settings.build import build_settings
from pgrest.settings.file import Value, Values, read_file
from pgrest.settings.model import ServerSettings
from pgrest.settings.table import APP_SETTINGS, SETTINGS, is_known

_VARIABLE = "PGRST_"
_APP_VARIABLE = "PGRST_APP_SETTINGS_"
_IN_DATABASE = {one.database_name: one.name for one in SETTINGS if one.in_database}
DATABASE_NAMES = tuple(_IN_DATABASE)
"""`pgrst.db_schemas` and the other settings that may be in the database."""


@dataclass(frozen=True, slots=True)
class Source:
    """Read again at each reload: the file may have changed, the environment has not."""

    path: Path | None
    environ: Mapping[str, str] = field(repr=False)

    def read(self, in_database: Mapping[str, str] | None = None) -> ServerSettings:
        """`in_database` by the names it has there. Raises BadSettings."""
        stored = {_IN_DATABASE[name]: value for name, value in (in_database or {}).items()}
        return build_settings({**self._read_outside(), **stored})

    def list_unknown(self) -> list[str]:
        """Names that mean nothing here: most likely misspelt."""
        return sorted(name for name in self._read_outside() if not is_known(name))

    def _read_outside(self) -> Values:
        values: Values = {} if self.path is None else read_file(self.path, self.environ)
        folded: dict[str, Value] = {_fold(name): value for name, value in values.items()}
        return {**folded, **_read_environment(self.environ)}


def load_settings(path: Path | None, environ: Mapping[str, str]) -> ServerSettings:
    return Source(path, environ).read()


def _fold(name: str) -> str:
    """PostgreSQL knows `app.settings.Name` and `app.settings.name` as one."""
    return name.lower() if name.lower().startswith(APP_SETTINGS) else name


def _read_environment(environ: Mapping[str, str]) -> Values:
    values: Values = {}
    for name, value in environ.items():
        if name.startswith(_APP_VARIABLE):
            values[APP_SETTINGS + name.removeprefix(_APP_VARIABLE).lower()] = value
        elif name.startswith(_VARIABLE):
            values[name.removeprefix(_VARIABLE).lower().replace("_", "-")] = value
    return values
