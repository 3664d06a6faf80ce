"""A program that makes elements that follow from (epoch, index), writes down what it was asked for, and does wrong if told.

usage: fed.py [name=value ...]
    elements, batch, by_epoch, push   as in open
    edge                              of the picture (8): edge x edge x 1 bytes
    log                               a file for "EPOCH INDEX" lines, "end EPOCH", "open"
    slow                              seconds before each answer
    fault, at                         what to do wrong at the at-th question: see FAULTS
    bad                               indices that cannot be made, as 3,5
    files                             no program: writes x.npy and y.npy of epoch 0 into that folder
"""
import hashlib
import os
import pathlib
import struct
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples/feed"))
import feed  # noqa: E402


DARK, BRIGHT = bytes(b // 4 for b in range(256)), bytes((b + 150) % 256 for b in range(256))


def element(edge, epoch, index):
    """(picture, label): a row of the picture is bright where the label says."""
    label = index % 10
    picture = bytearray(hashlib.shake_128(f"{epoch} {index}".encode()).digest(edge * edge).translate(DARK))
    begin = label * edge // 10 * edge
    picture[begin:begin + edge] = picture[begin:begin + edge].translate(BRIGHT)
    return bytes(picture), label


def row(options, epoch, index):
    picture, label = element(options["edge"], epoch, index)
    return picture + struct.pack("<q", label)


def npy(path, form, shape, data):
    head = f"{{'descr': '{form}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


def write_files(options):
    folder, n, edge = pathlib.Path(options["files"]), options["elements"], options["edge"]
    made = [element(edge, 0, i) for i in range(n)]
    npy(folder / "x.npy", "|u1", f"({n}, {edge}, {edge}, 1)", b"".join(picture for picture, _ in made))
    npy(folder / "y.npy", "<i8", f"({n},)", struct.pack(f"<{n}q", *(label for _, label in made)))


class Program:
    def __init__(self, options):
        self.options, self.asked = options, 0
        self.log = os.open(options["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if "log" in options else None
        self.bad = {int(word) for word in str(options.get("bad", "")).split(",") if word}

    def note(self, text):
        if self.log is not None:
            os.write(self.log, text.encode())

    def open(self):
        o = self.options
        self.note("open\n")
        fields = [{"name": "x", "kind": "image", "dtype": "uint8", "shape": [o["edge"], o["edge"], 1]},
                  {"name": "y", "kind": "label", "dtype": "int64", "shape": []}]
        spec = {"fields": fields, "classes": [str(i) for i in range(10)]}
        if not o["push"]:
            spec.update(elements=o["elements"], batch=o["batch"], by_epoch=bool(o["by_epoch"]))
        return spec

    def get(self, indices, epoch):
        self.note("".join(f"{epoch} {i}\n" for i in indices))
        time.sleep(self.options["slow"])
        for i in indices:
            if i in self.bad:
                raise Bad(i)
        return b"".join(row(self.options, epoch, i) for i in indices)

    def next(self, n, index):
        n = max(0, min(n, self.options["elements"] - index))
        self.note("".join(f"0 {i}\n" for i in range(index, index + n)))
        time.sleep(self.options["slow"])
        return [row(self.options, 0, i) for i in range(index, index + n)]

    def epoch_end(self, epoch):
        self.note(f"end {epoch}\n")


class Bad(Exception):
    pass


# What is written instead of (frame, rows); None ends the program.
FAULTS = {
    "garbage": lambda frame, rows: b"Loading the data ...\n" * 10,
    "text": lambda frame, rows: struct.pack("<I", 5) + b"\xa4text",
    "list": lambda frame, rows: struct.pack("<I", 2) + b"\x91\x01",
    "empty": lambda frame, rows: struct.pack("<I", 0),
    "huge": lambda frame, rows: struct.pack("<I", 0xfffffff0) + b"x" * 100,
    "deep": lambda frame, rows: struct.pack("<I", 5000) + b"\x91" * 5000,
    "liar": lambda frame, rows: struct.pack("<I", 6) + b"\xdf\xff\xff\xff\xff\xa1",
    "much": lambda frame, rows: frame + rows + b"more",
    "more_n": lambda frame, rows: pack({"n": 100000}) + rows,
    "less_n": lambda frame, rows: pack({"n": 0}),
    "no_n": lambda frame, rows: pack({"rows": 3}) + rows,
    "other": lambda frame, rows: pack({"error": "no", "index": 12345}),
    "little": lambda frame, rows: None if sys.stdout.buffer.write(frame + rows[:-3]) and not sys.stdout.flush() else b"",
    "nothing": lambda frame, rows: time.sleep(3600),
    "dies": lambda frame, rows: None,
    "killed": lambda frame, rows: os.kill(os.getpid(), 9),
}


def pack(reply):
    frame = feed.pack(reply)
    return struct.pack("<I", len(frame)) + frame


def main():
    options = {"elements": 100, "batch": 1, "by_epoch": 0, "push": 0, "edge": 8, "slow": 0.0, "at": 1}
    for word in sys.argv[1:]:
        name, value = word.split("=", 1)
        options[name] = type(options[name])(value) if name in options else value
    if "files" in options:
        write_files(options)
        return
    program, n_asked = Program(options), 0
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while True:
        head = stdin.read(4)
        request = feed.unpack(stdin.read(struct.unpack("<I", head)[0])) if len(head) == 4 else {"close": 1}
        if "close" in request:
            program.note("close\n")
            return
        try:
            reply, rows = feed.answer(program, request)
        except Bad as bad:
            reply, rows = {"error": "this one cannot be made", "index": bad.args[0]}, b""
        n_asked += "get" in request or "next" in request
        out = pack(reply) + rows
        if "fault" in options and n_asked == options["at"]:
            out = FAULTS[options["fault"]](pack(reply), rows)
            if out is None:
                sys.exit(3)
        stdout.write(out)
        stdout.flush()


if __name__ == "__main__":
    main()
