"""uvicorn's HTTP/1.1, answering in PostgREST's form what it would refuse on its own."""

import re
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pgrest import errors
from pgrest.errors import PgrestError
from pgrest.response import make_error_response

LONGEST_HEAD = 64 * 1024
_REQUEST_LINE = re.compile(rb"(?P<method>[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}) (?P<path>/[^ \r\n]*) HTTP/1\.[01]\r?\n")
_REASONS = {400: b"Bad Request", 405: b"Method Not Allowed", 431: b"Request Header Fields Too Large"}


class RestProtocol(HttpToolsProtocol):
    """The head of a request is bounded; uvicorn would hold one of any length."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_size = 0
        self._is_in_head = False

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            self._refuse(_refuse_method(data))
        except httptools.HttpParserUpgrade:
            pass  # answered as if it had not been asked for
        except httptools.HttpParserError:
            self._refuse(errors.bad_http())
        else:
            self._watch_head(len(data))

    def on_message_begin(self) -> None:
        self._is_in_head, self._head_size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def _watch_head(self, size: int) -> None:
        if self._is_in_head:
            self._head_size += size
            if self._head_size > LONGEST_HEAD:
                self._refuse(errors.head_too_large(LONGEST_HEAD))

    def _refuse(self, error: PgrestError) -> None:
        """Nothing more can be read from this connection."""
        response = make_error_response(error)
        headers = [(b"Connection", b"close"), *self.server_state.default_headers]
        headers += [(name.encode(), value.encode()) for name, value in response.headers]
        head = b"HTTP/1.1 %d %s\r\n" % (response.status, _REASONS[response.status])
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(head + lines + b"\r\n" + response.body)
        self.transport.close()


def _refuse_method(data: bytes) -> PgrestError:
    """A method that HTTP does not know is refused as one that the contract does not."""
    found = _REQUEST_LINE.match(data)
    if found is None:
        return errors.bad_http()
    method = found["method"].decode()
    is_call = found["path"].startswith(b"/rpc/")
    return errors.rpc_method_not_allowed(method) if is_call else errors.method_not_supported(method)
