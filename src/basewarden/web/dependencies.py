"""The parameters of routes that several features ask for."""

from typing import Annotated

from fastapi import Depends

from basewarden.db import Database
from basewarden.settings import Settings
from basewarden.web.pages import Pages
from basewarden.web.registry import inject
from basewarden.web.shell import Shell

DatabaseDep = Annotated[Database, Depends(inject(Database))]
PagesDep = Annotated[Pages, Depends(inject(Pages))]
SettingsDep = Annotated[Settings, Depends(inject(Settings))]
ShellDep = Annotated[Shell, Depends(inject(Shell))]
