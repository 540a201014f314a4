"""Small real files, made in code and the same every time: PDFs that open, PNGs that show."""

import struct
import zlib

from sandbox.procore.domain.files import Incoming

PAGE = "/MediaBox [0 0 612 792]"


def pdf(name: str, title: str, lines: list[str]) -> Incoming:
    """A one-page PDF 1.4 with a heading and lines of text."""
    text = ["BT /F1 18 Tf 56 730 Td", f"({_escaped(title)}) Tj", "/F1 11 Tf 0 -30 Td 15 TL"]
    text += [f"({_escaped(line)}) Tj T*" for line in lines]
    frame = "0.6 w 40 40 532 712 re S 40 715 m 572 715 l S"
    stream = "\n".join([frame, *text, "ET"]).encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R {PAGE} /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode(),
        f"<< /Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    return Incoming(name=name, content_type="application/pdf", content=_assembled(objects))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _assembled(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(objects) + 1)
    out += b"startxref\n%d\n%%%%EOF\n" % table
    return bytes(out)


def png(name: str, seed: int, *, width: int = 320, height: int = 200) -> Incoming:
    """A picture in the manner of a site photograph's thumbnail: a bay grid under a sky."""
    bay = 24 + seed * 7 % 40
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            rows += _pixel(x, y, bay, height, seed)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(bytes(rows), 6))
        + _chunk(b"IEND", b"")
    )
    return Incoming(name=name, content_type="image/png", content=content)


def _pixel(x: int, y: int, bay: int, height: int, seed: int) -> bytes:
    if y < height // 3:
        return bytes((150 + y // 2, 190, 225))
    if x % bay < 3 or (y - height // 3) % bay < 3:
        return bytes((70, 74, 80))
    shade = (x // bay * 31 + y // bay * 17 + seed * 13) % 60
    return bytes((110 + shade, 130 + shade, 140 + shade))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
