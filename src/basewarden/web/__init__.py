"""What all features use to serve requests: edge, callers, pages, forms, errors. Imports no feature."""

from basewarden.web.access import MEMBER_ROLES, RouteAccess, list_route_access
from basewarden.web.address_parameters import AddressParameters
from basewarden.web.arrays import read_array, write_array
from basewarden.web.assets import BUILT_ASSETS, asset_url, ensure_assets
from basewarden.web.bodies import WholeBodies, read_whole_body
from basewarden.web.budgets import RequestBudgets
from basewarden.web.callers import CallerKind, CallerNeed, anyone, callers
from basewarden.web.compression import Compression
from basewarden.web.context import header_values, scope_context
from basewarden.web.cookies import clear_cookie, device_cookie_name, mfa_cookie_name, session_cookie_name, set_cookie
from basewarden.web.dependencies import DatabaseDep, PagesDep, SettingsDep, ShellDep
from basewarden.web.draining import find_draining
from basewarden.web.edge import Edge
from basewarden.web.error_pages import SignInPaths, add_error_handlers
from basewarden.web.forms import Form, parse_form, parse_large_form, show_again
from basewarden.web.guard import raise_file_limit
from basewarden.web.highlight import highlight
from basewarden.web.loop_shares import WITHOUT_LIMIT, Admission, LoopShares, delay_request, find_loop_shares
from basewarden.web.markdown import RenderedBlock, Rendering, render_markdown
from basewarden.web.openapi import STABLE, ErrorBody, answer_with, declare, describe_api, list_operations
from basewarden.web.pages import Pages, count_things, redirect
from basewarden.web.protocol import make_protocol
from basewarden.web.registry import Registry, inject
from basewarden.web.responses import JSON_TYPE, error_response
from basewarden.web.rooms import ROOMS, Room
from basewarden.web.routing import list_routes
from basewarden.web.schemas import RequestBody, ResponseBody
from basewarden.web.shell import COUNTS_TOPIC, FreezeNote, ReadCounts, RoomCount, RoomCounts, Shell
from basewarden.web.static import BuiltFiles
from basewarden.web.stopwatch import Stopwatch, run_timed, weigh_step_cubed
from basewarden.web.targets import read_target
from basewarden.web.units import Reading, Writing
from basewarden.web.warm_up import warm_up
from basewarden.web.whole_responses import CheckedHeaders, RawHeader, join_checked, make_whole

__all__ = [
    "BUILT_ASSETS",
    "COUNTS_TOPIC",
    "JSON_TYPE",
    "MEMBER_ROLES",
    "ROOMS",
    "STABLE",
    "WITHOUT_LIMIT",
    "AddressParameters",
    "Admission",
    "BuiltFiles",
    "CallerKind",
    "CallerNeed",
    "CheckedHeaders",
    "Compression",
    "DatabaseDep",
    "Edge",
    "ErrorBody",
    "Form",
    "FreezeNote",
    "LoopShares",
    "Pages",
    "PagesDep",
    "RawHeader",
    "ReadCounts",
    "Reading",
    "Registry",
    "RenderedBlock",
    "Rendering",
    "RequestBody",
    "RequestBudgets",
    "ResponseBody",
    "Room",
    "RoomCount",
    "RoomCounts",
    "RouteAccess",
    "SettingsDep",
    "Shell",
    "ShellDep",
    "SignInPaths",
    "Stopwatch",
    "WholeBodies",
    "Writing",
    "add_error_handlers",
    "answer_with",
    "anyone",
    "asset_url",
    "callers",
    "clear_cookie",
    "count_things",
    "declare",
    "delay_request",
    "describe_api",
    "device_cookie_name",
    "ensure_assets",
    "error_response",
    "find_draining",
    "find_loop_shares",
    "header_values",
    "highlight",
    "inject",
    "join_checked",
    "list_operations",
    "list_route_access",
    "list_routes",
    "make_protocol",
    "make_whole",
    "mfa_cookie_name",
    "parse_form",
    "parse_large_form",
    "raise_file_limit",
    "read_array",
    "read_target",
    "read_whole_body",
    "redirect",
    "render_markdown",
    "run_timed",
    "scope_context",
    "session_cookie_name",
    "set_cookie",
    "show_again",
    "warm_up",
    "weigh_step_cubed",
    "write_array",
]
