"""What an answer is made of goes out together, and nothing waits for what may never come."""

import asyncio
from typing import Any

from basewarden.web.joined import JoinedWrites
from tests.web.raw import connected
from tests.web.test_protocol import GET, served


class RecordingTransport(asyncio.Transport):
    """Keeps what is written, each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.written.append(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


async def test_pieces_of_one_turn_are_one_write() -> None:
    transport = RecordingTransport()
    joined = JoinedWrites(transport, asyncio.get_running_loop())
    joined.write(b"head")
    joined.write(b"body")
    assert transport.written == []
    joined.flush()
    joined.write(b"next")
    await asyncio.sleep(0)
    assert transport.written == [b"headbody", b"next"]


async def test_a_large_piece_does_not_wait() -> None:
    transport = RecordingTransport()
    joined = JoinedWrites(transport, asyncio.get_running_loop())
    joined.write(b"head")
    joined.write(b"x" * 100_000)
    assert transport.written == [b"head" + b"x" * 100_000]


async def test_lines_are_added_to_the_next_head_and_to_no_interim_one() -> None:
    transport = RecordingTransport()
    joined = JoinedWrites(transport, asyncio.get_running_loop())
    joined.add_to_head(b"x-a: 1\r\nx-b: 2\r\n")
    joined.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    joined.write(b"HTTP/1.1 200 OK\r\nx-own: 0\r\n\r\n")
    joined.write(b"HTTP/1.1 is a body here")
    joined.write(b"HTTP/1.1 200 OK\r\n\r\n")
    joined.flush()
    assert transport.written == [
        (
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nx-own: 0\r\nx-a: 1\r\nx-b: 2\r\n\r\n"
            b"HTTP/1.1 is a body here"
            b"HTTP/1.1 200 OK\r\n\r\n"
        )
    ]


async def test_what_is_held_goes_out_before_the_end_and_nothing_after_it() -> None:
    transport = RecordingTransport()
    joined = JoinedWrites(transport, asyncio.get_running_loop())
    joined.write(b"last words")
    joined.close()
    joined.write(b"too late")
    await asyncio.sleep(0)
    assert transport.written == [b"last words"]


async def test_the_head_of_a_stream_does_not_wait_for_the_stream() -> None:
    goes_on = asyncio.Event()

    async def answer_slowly(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await goes_on.wait()
        await send({"type": "http.response.body", "body": b"ok"})

    async with served(answer_slowly) as (port, _), connected(port) as (reader, writer), asyncio.timeout(30):
        writer.write(GET % b"")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        goes_on.set()
        assert await reader.readexactly(2) == b"ok"
