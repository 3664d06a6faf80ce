"""Speaks to `millrace feed` (docs/feed.md): what a program has to do to make elements, in plain Python.

    feed.serve(feed.Sequence(my_sequence, by_epoch=True))      # __getitem__, __len__, on_epoch_end: batches
    feed.serve(feed.Generator(my_generator_function))          # elements one after the other

Arrays are whatever has Python's buffer protocol (NumPy's, array.array, memoryview), or numbers and lists of numbers.
"""
import array
import os
import struct
import sys

NAMES = {"?": "bool", "B": "uint8", "b": "int8", "H": "uint16", "h": "int16", "i": "int32", "I": "uint32", "l": "int64",
         "q": "int64", "f": "float32", "d": "float64"}


# ---- msgpack, as much of it as the protocol needs --------------------------------------------------------------------

def pack(value):
    if value is None or value is True or value is False:
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xdb" + struct.pack(">I", len(text)) + text
    if isinstance(value, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    if isinstance(value, dict):
        return b"\xdf" + struct.pack(">I", len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())
    raise TypeError(f"no msgpack of {type(value).__name__}")


def unpack(data):
    return _unpack(data, 0)[0]


def _unpack(data, at):
    head, at = data[at], at + 1
    if head < 0x80 or head >= 0xe0:                                        # small whole numbers
        return (head if head < 0x80 else head - 256), at
    if head in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[head], at
    numbers = {0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: ">b", 0xd1: ">h", 0xd2: ">i", 0xd3: ">q",
               0xca: ">f", 0xcb: ">d"}
    sizes = {0xd9: ">B", 0xda: ">H", 0xdb: ">I", 0xdc: ">H", 0xdd: ">I", 0xde: ">H", 0xdf: ">I"}
    if head in numbers:
        form = numbers[head]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    if head in sizes:
        n = struct.unpack_from(sizes[head], data, at)[0]
        at += struct.calcsize(sizes[head])
    else:                                                                  # the length stands in the first byte
        n = head & (0x1f if 0xa0 <= head < 0xc0 else 0x0f)
    if 0xa0 <= head < 0xc0 or 0xd9 <= head <= 0xdb:
        return bytes(data[at:at + n]).decode(), at + n
    is_map = 0x80 <= head < 0x90 or head >= 0xde
    items = []
    for _ in range(2 * n if is_map else n):
        item, at = _unpack(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if is_map else items), at


# ---- arrays ----------------------------------------------------------------------------------------------------------

def view(value):
    """(element type, shape, bytes) of an array, a number or lists of numbers."""
    if isinstance(value, (bool, int)):
        return "int64", (), struct.pack("<q", value)
    if isinstance(value, float):
        return "float32", (), struct.pack("<f", value)
    if isinstance(value, (list, tuple)):
        parts = [view(item) for item in value]
        if len({part[:2] for part in parts}) != 1:
            raise ValueError("the items of a list are not alike")
        return parts[0][0], (len(parts),) + parts[0][1], b"".join(part[2] for part in parts)
    data = memoryview(value)
    name = NAMES.get(data.format.lstrip("<=@"))
    if name is None or name == "uint32":
        raise ValueError(f"arrays of the form '{data.format}' cannot be fed; convert them")
    return name, tuple(data.shape), data.tobytes()


def name_fields(value):
    """(x, y), ({"a": ..., "b": ...}, y), {"x": ..., "y": ...} or x alone: [(name, array), ...]."""
    parts = value if isinstance(value, tuple) else (value,)
    fields = []
    for name, part in zip(("x", "y", "sample_weight"), parts):
        fields += list(part.items()) if isinstance(part, dict) else [(name, part)]
    return fields


def describe(name, dtype, shape, kinds):
    is_image = len(shape) == 3 and shape[2] in (1, 3, 4)
    kind = kinds.get(name, "label" if name == "y" else "image" if is_image else "numeric")
    return {"name": name, "kind": kind, "dtype": dtype, "shape": list(shape)}


# ---- what makes elements ---------------------------------------------------------------------------------------------

class Sequence:
    """Any object with __getitem__ (a batch), __len__ (how many batches) and, if it likes, on_epoch_end.

    Element i is row i % batch of batch i // batch; only the last batch may be shorter. by_epoch: the batches are others in
    each epoch (on_epoch_end shuffles, or __getitem__ draws); without it each batch is made once, ever.
    """

    def __init__(self, sequence, by_epoch=False, classes=(), kinds=None):
        self.sequence, self.by_epoch, self.classes, self.kinds = sequence, by_epoch, list(classes), kinds or {}
        self.kept = {}                                                     # batches that open has looked at

    def open(self):
        n = len(self.sequence)
        for number in {0, n - 1}:
            self.kept[number] = self.make(number)
        fields = self.kept[0]
        self.batch = fields[0][2][0]
        self.dtypes = [(name, dtype, shape[1:]) for name, dtype, shape, _ in fields]
        return {"fields": [describe(*field, self.kinds) for field in self.dtypes],
                "elements": (n - 1) * self.batch + self.kept[n - 1][0][2][0],
                "batch": self.batch, "by_epoch": self.by_epoch, "classes": self.classes}

    def make(self, number):
        return [(name, *view(value)) for name, value in name_fields(self.sequence[number])]

    def get(self, indices, epoch):
        number = indices[0] // self.batch                                  # all of one batch: `batch` says so
        fields = self.kept.pop(number, None) or self.make(number)
        if [(name, dtype, shape[1:]) for name, dtype, shape, _ in fields] != self.dtypes:
            raise ValueError(f"batch {number} has other fields than batch 0")
        cut = [(data, len(data) // shape[0]) for _, _, shape, data in fields]
        rows = [i % self.batch for i in indices]
        if max(rows) >= min(shape[0] for _, _, shape, _ in fields):
            raise ValueError(f"batch {number} is shorter than batch 0")
        return b"".join(data[row * size:(row + 1) * size] for row in rows for data, size in cut)

    def epoch_end(self, epoch):
        self.kept.clear()
        if hasattr(self.sequence, "on_epoch_end"):
            self.sequence.on_epoch_end()


class Generator:
    """A function that gives an iterator over elements; how many there are, nobody needs to know."""

    def __init__(self, function, classes=(), kinds=None):
        self.function, self.classes, self.kinds = function, list(classes), kinds or {}

    def rewind(self):
        self.iterator, self.at = iter(self.function()), 0

    def open(self):
        fields = [(name, *view(value)) for name, value in name_fields(next(iter(self.function())))]
        self.dtypes = [field[:3] for field in fields]
        self.rewind()
        return {"fields": [describe(*field, self.kinds) for field in self.dtypes], "classes": self.classes}

    def next(self, n, index):
        if index < self.at:                                                # what was lost on the way comes again
            self.rewind()
        rows = []
        for element in self.iterator:
            self.at += 1
            if self.at > index:
                fields = [(name, *view(value)) for name, value in name_fields(element)]
                if [field[:3] for field in fields] != self.dtypes:
                    raise ValueError(f"element {self.at - 1} has other fields than the first")
                rows.append(b"".join(field[3] for field in fields))
            if len(rows) == n:
                break
        return rows


# ---- the protocol ----------------------------------------------------------------------------------------------------

def answer(source, request):
    """(the map, the rows behind it)"""
    if "open" in request:
        return source.open(), b""
    if "get" in request:
        return {"n": len(request["get"])}, source.get(request["get"], request["epoch"])
    if "next" in request:
        rows = source.next(request["next"], request["index"])
        return {"n": len(rows)}, b"".join(rows)
    if "epoch_end" in request:
        source.epoch_end(request["epoch_end"])
    return {}, b""


def serve(source):
    """Answers until it is told to close. What the program prints goes to standard error."""
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        head = stdin.read(4)
        if len(head) < 4:
            return
        request = unpack(stdin.read(struct.unpack("<I", head)[0]))
        if "close" in request:
            return
        try:
            reply, rows = answer(source, request)
        except Exception as problem:                                       # of one element: the job decides (on_error)
            print(f"feed: {type(problem).__name__}: {problem}", file=sys.stderr)
            reply, rows = {"error": f"{type(problem).__name__}: {problem}"}, b""
        frame = pack(reply)
        stdout.write(struct.pack("<I", len(frame)) + frame + rows)
        stdout.flush()
