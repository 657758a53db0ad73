"""The answer reader alone: bytes in, an answer or an error out, however the bytes are split."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nextmq_server.dispatch.http.answer_reader import (
    MAX_FRAMING,
    MAX_INFORMATIONAL,
    MAX_PIECES,
    AnswerReader,
    BadAnswer,
)

CAP = 1000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def read(*parts: bytes, max_size: int = CAP) -> AnswerReader:
    """Return a reader after feeding it the parts until it is done."""
    reader = AnswerReader()
    reader.begin(max_size)
    for part in parts:
        if not reader.is_done:
            reader.feed(part)
    return reader


def found(reader: AnswerReader) -> tuple[int, bytes, bool, bool]:
    return reader.status, bytes(reader.body), reader.is_done, reader.keeps_alive


def refusal(*parts: bytes, max_size: int = CAP) -> str:
    with pytest.raises(BadAnswer) as caught:
        read(*parts, max_size=max_size)
    return str(caught.value)


ANSWERS = {
    "a length": (OK + b"content-length: 3\r\n\r\nabc", (200, b"abc", True, True)),
    "no body": (OK + b"content-length: 0\r\n\r\n", (200, b"", True, True)),
    "chunks": (CHUNKED + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", (200, b"abc", True, True)),
    "chunks and trailers": (CHUNKED + b"1\r\na\r\n0\r\nx-one: a\r\n\r\n", (200, b"a", True, True)),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True, True)),
    "304": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", (304, b"", True, True)),
    "no reason": (b"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\na", (200, b"a", True, True)),
    "100 before": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 1\r\n\r\na", (200, b"a", True, True)),
    "103 twice before": (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2 + OK + b"content-length: 1\r\n\r\na",
        (200, b"a", True, True),
    ),
    "close": (OK + b"connection: close\r\ncontent-length: 1\r\n\r\na", (200, b"a", True, False)),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", (200, b"a", True, False)),
    "HTTP/1.0 that keeps alive": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na",
        (200, b"a", True, True),
    ),
    "an upgrade that is only offered": (
        OK + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 1\r\n\r\na",
        (200, b"a", True, True),
    ),
    "a body up to the cap": (OK + b"content-length: 1000\r\n\r\n" + b"x" * CAP, (200, b"x" * CAP, True, True)),
    "no end": (OK + b"\r\nabc", (200, b"abc", False, False)),
}


@pytest.mark.parametrize(("raw", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read_to_its_end(raw: bytes, expected: tuple[int, bytes, bool, bool]) -> None:
    assert found(read(raw)) == expected


@given(st.sampled_from(list(ANSWERS.values())), st.data())
def test_an_answer_is_the_same_however_it_is_cut(
    answer: tuple[bytes, tuple[int, bytes, bool, bool]], data: st.DataObject
) -> None:
    raw, expected = answer
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    parts = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert found(read(*parts)) == expected


@given(st.lists(st.sampled_from([answer for answer in ANSWERS.values() if answer[1][3]]), max_size=5))
def test_a_reader_reads_one_answer_after_another(
    answers: list[tuple[bytes, tuple[int, bytes, bool, bool]]],
) -> None:
    reader = AnswerReader()
    for raw, expected in answers:
        reader.begin(CAP)
        reader.feed(raw)
        assert found(reader) == expected


def test_headers_are_those_of_the_final_answer_without_white_space_around_values() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    reader = read(hints + OK + b"X-One:  a b \t\r\nx-one: \xe9\r\n\r\n")
    assert reader.headers == [(b"X-One", b"a b"), (b"x-one", b"\xe9")]


def test_a_trailer_is_no_header() -> None:
    assert read(CHUNKED + b"0\r\nx-one: a\r\n\r\n").headers == [(b"transfer-encoding", b"chunked")]


def test_a_body_without_length_ends_with_the_connection() -> None:
    reader = read(OK + b"\r\nabc")
    reader.end()
    assert found(reader) == (200, b"abc", True, False)


UNFINISHED = {
    "nothing": b"",
    "half a head": OK + b"x-one: a\r\n",
    "an informational answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "half a body": OK + b"content-length: 10\r\n\r\nabc",
    "half a chunk": CHUNKED + b"5\r\nabc",
    "no last chunk": CHUNKED + b"3\r\nabc\r\n",
    "another transfer coding": OK + b"transfer-encoding: gzip\r\n\r\nabc",
}


@pytest.mark.parametrize("raw", UNFINISHED.values(), ids=UNFINISHED)
def test_an_end_before_the_answer_is_whole_is_refused(raw: bytes) -> None:
    reader = read(raw)
    with pytest.raises(BadAnswer, match="before the answer was whole"):
        reader.end()


MORE = {
    "text": OK + b"content-length: 2\r\n\r\nabcdef",
    "an answer": OK + b"content-length: 0\r\n\r\n" + OK + b"content-length: 0\r\n\r\n",
    "the start of one": OK + b"content-length: 0\r\n\r\nHTTP/1.1",
    "an informational one": OK + b"content-length: 0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    "a body after 204": b"HTTP/1.1 204 No Content\r\n\r\nabc",
    "text after the last": OK + b"connection: close\r\ncontent-length: 0\r\n\r\nabc",
}


@pytest.mark.parametrize("raw", MORE.values(), ids=MORE)
def test_more_than_one_answer_is_refused(raw: bytes) -> None:
    assert refusal(raw)


@pytest.mark.parametrize("headers", [b"upgrade: h2c\r\nconnection: upgrade\r\n", b""], ids=["asked", "bare"])
def test_an_answer_that_switches_protocols_is_refused(headers: bytes) -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\n" + headers + b"\r\nabc"
    assert refusal(raw) == "the answer switches to another protocol"


BOUNDS = {"over 256 KiB of the answer are not body", "the answer has over 4096 headers and chunks"}
ENDLESS = {
    "a status line": (b"HTTP/1.1 200 ", b"x"),
    "a header": (OK + b"x-one: ", b"x"),
    "headers": (OK, b"x-one: a\r\n"),
    "a chunk's size": (CHUNKED, b"0"),
    "a chunk's extension": (CHUNKED + b"3;", b"x"),
    "trailers": (CHUNKED + b"0\r\n", b"x-one: a\r\n"),
}


@pytest.mark.parametrize("size", [1000, 10 * MAX_FRAMING], ids=["in small parts", "at once"])
@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
def test_what_is_no_body_and_does_not_end_is_refused(start: bytes, more: bytes, size: int) -> None:
    rest = more * (10 * MAX_FRAMING // len(more))
    parts = [rest[at : at + size] for at in range(0, len(rest), size)]
    assert refusal(start, *parts) in BOUNDS


HEAD = b"HTTP/1.1 102 Processing\r\nx-one: "
PIECES: dict[str, tuple[bytes, bytes, int]] = {
    # What comes before, one piece, and how many bytes of that are not body.
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n", 5),
    "chunks of two bytes": (CHUNKED, b"2\r\nxx\r\n", 5),
    "chunks of 16 bytes": (CHUNKED, b"10\r\n" + b"x" * 16 + b"\r\n", 6),
    "chunks with zeros": (CHUNKED, b"0" * 30 + b"1\r\nx\r\n", 35),
    "chunks with an extension": (CHUNKED, b"1;" + b"e" * 100 + b"\r\nx\r\n", 106),
    "chunks with a long extension": (CHUNKED, b"1;" + b"e" * 60_000 + b"\r\nx\r\n", 60_006),
    "large chunks with an extension": (CHUNKED, b"3e8;" + b"e" * 1000 + b"\r\n" + b"x" * 1000 + b"\r\n", 1008),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"x-one: a\r\n", 10),
    "long trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"x-one: " + b"a" * 60_000 + b"\r\n", 60_009),
    "headers": (OK, b"x-one: a\r\n", 10),
    "informational heads and a head": (b"", HEAD + b"a" * 30_000 + b"\r\n\r\n", 30_037),
}


@pytest.mark.parametrize("size", [7, 1000, 100_000], ids=["bytes", "parts", "at once"])
@pytest.mark.parametrize(("start", "piece", "overhead"), PIECES.values(), ids=PIECES)
def test_what_is_not_body_is_bounded_in_all(start: bytes, piece: bytes, overhead: int, size: int) -> None:
    raw = start + piece * (MAX_FRAMING // overhead + 1)
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert refusal(*parts, max_size=1_000_000) in BOUNDS


@pytest.mark.parametrize("size", [7, 1000, 100_000], ids=["bytes", "parts", "at once"])
@pytest.mark.parametrize("name", [name for name, (_, piece, _) in PIECES.items() if len(piece) < 40])
def test_how_many_pieces_an_answer_has_is_bounded_however_short_they_are(name: str, size: int) -> None:
    start, piece, _ = PIECES[name]
    raw = start + piece * (MAX_PIECES + 2)  # the parser tells of a header when it is over
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert refusal(*parts, max_size=1_000_000) == "the answer has over 4096 headers and chunks"
    whole = start + piece * (MAX_PIECES - 5) + (b"0\r\n\r\n" if name.startswith("chunks") else b"\r\n")
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert read(*parts, max_size=1_000_000).has_head


@pytest.mark.parametrize("size", [7, 1000, 100_000], ids=["bytes", "parts", "at once"])
@pytest.mark.parametrize(
    ("start", "piece", "overhead"), [PIECES[name] for name in PIECES if name.startswith("chunks")]
)
def test_what_is_not_body_may_be_long(start: bytes, piece: bytes, overhead: int, size: int) -> None:
    count = MAX_FRAMING // overhead - 10
    raw = start + piece * min(count, 3000) + b"0\r\n\r\n"
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert read(*parts, max_size=1_000_000).is_done


@pytest.mark.parametrize("between", [b"", b"x-one: a\r\n"], ids=["bare", "with a header"])
@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
@pytest.mark.parametrize("size", [1, 1000], ids=["bytes", "at once"])
def test_few_informational_answers_may_come_before_one(status: bytes, between: bytes, size: int) -> None:
    informational = b"HTTP/1.1 " + status + b"\r\n" + between + b"\r\n"
    end = OK + b"content-length: 1\r\n\r\na"

    def parts(count: int) -> list[bytes]:
        raw = informational * count + end
        return [raw[at : at + size] for at in range(0, len(raw), size)]

    assert found(read(*parts(MAX_INFORMATIONAL))) == (200, b"a", True, True)
    assert refusal(*parts(MAX_INFORMATIONAL + 1)) == "over 10 informational answers came before one"


def test_the_bounds_are_those_of_one_answer() -> None:
    reader = AnswerReader()
    for _ in range(3):
        reader.begin(CAP)
        reader.feed(b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INFORMATIONAL)
        reader.feed(OK + b"x-one: " + b"a" * 60_000 + b"\r\ncontent-length: 1\r\n\r\na")
        assert (reader.is_done, reader.keeps_alive) == (True, True)


def test_a_body_is_not_kept_far_beyond_the_cap() -> None:
    reader = read(OK + b"\r\n", b"x" * 1_000_000)
    assert (reader.is_done, reader.keeps_alive, CAP < len(reader.body) <= CAP + 16 * 1024) == (True, False, True)


@pytest.mark.parametrize(
    ("rest", "keeps_alive"),
    [
        (b"content-length: 0\r\n\r\n", True),
        (b"content-length: 3\r\n\r\nabc", True),
        (b"content-length: 3\r\n\r\n", False),
        (b"content-length: 0\r\n\r\nabc", False),
        (b"content-length: 0\r\n\r\n" + OK, False),
        (b"transfer-encoding: chunked\r\n\r\nzz", False),
        (b"content-length: 1\r\n\r\na" + b"x" * 100_000, False),
        (b"\r\n", False),
    ],
    ids=["no body", "a body", "an open body", "text", "an answer", "a bad chunk", "a lot", "no length"],
)
def test_the_head_is_the_whole_answer_where_no_body_is_wanted(rest: bytes, keeps_alive: bool) -> None:
    reader = read(OK + rest, max_size=0)
    assert (reader.status, reader.is_done, reader.keeps_alive) == (200, True, keeps_alive)


def one_of(*parts: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from(parts)


LINES = st.lists(
    one_of(
        OK,
        b"HTTP/1.1 100 Continue\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"content-length: 3\r\n",
        b"content-length: -1\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: close\r\n",
        b"upgrade: h2c\r\nconnection: upgrade\r\n",
        b"\r\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"zz\r\n",
    )
    | st.binary(max_size=20),
    max_size=12,
)


@given(LINES, st.sampled_from([0, 2, CAP]))
@example([OK, b"\r\n"], 0)
def test_any_bytes_are_an_answer_or_none(lines: t.Sequence[bytes], max_size: int) -> None:
    with contextlib.suppress(BadAnswer):
        reader = read(*lines, max_size=max_size)
        assert not reader.is_done or reader.status >= 200
