"""The example in Python: every line of examples/feed/feed.py runs, its programs train, docs/feed.md's program works."""
import array
import importlib.util
import io
import os
import pathlib
import random
import re
import struct
import sys

import live as tests

FOLDER = tests.ROOT / "examples/feed"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Values and their msgpack, by the specification.
MSGPACK = [(None, "c0"), (False, "c2"), (True, "c3"), (7, "07"), (127, "7f"), (-1, "ff"), (-32, "e0"), (200, "ccc8"),
           (1000, "cd03e8"), (100000, "ce000186a0"), (1 << 40, "cf0000010000000000"), (-100, "d09c"), (-1000, "d1fc18"),
           (-100000, "d2fffe7960"), (-(1 << 40), "d3ffffff0000000000"), (1.5, "cb3ff8000000000000"), (0.5, "ca3f000000"),
           ("", "a0"), ("abc", "a3616263"), ("é", "a2c3a9"), ("a" * 40, "d928" + "61" * 40), ("b" * 300, "da012c" + "62" * 300),
           ([], "90"), ([1, [2]], "92019102"), ([0] * 20, "dc0014" + "00" * 20), ({}, "80"), ({"a": 1}, "81a16101"),
           ({"get": [3], "epoch": 0}, "82a36765749103a565706f636800")]


def check_msgpack(feed):
    for value, text in MSGPACK:
        assert feed.unpack(bytes.fromhex(text)) == value, text
        if not isinstance(value, float):
            assert feed.unpack(feed.pack(value)) == value, value
    for head, body in {"db": "00000003616263", "dd": "0000000101", "df": "00000001a16101", "de": "0001a16101"}.items():
        feed.unpack(bytes.fromhex(head + body))
    refuses(TypeError, feed.pack, 1.5j)


def refuses(kind, function, *args):
    try:
        function(*args)
    except kind:
        return
    raise AssertionError(f"{function.__name__}{args} raises no {kind.__name__}")


def check_arrays(feed):
    f32 = array.array("f", [1, 2, 3, 4])
    square = memoryview(f32).cast("B").cast("f", (2, 2))
    assert feed.view(3) == ("int64", (), struct.pack("<q", 3))
    assert feed.view(0.5) == ("float32", (), struct.pack("<f", 0.5))
    assert feed.view([1, 2]) == ("int64", (2,), struct.pack("<qq", 1, 2))
    assert feed.view([[1.0], [2.0]]) == ("float32", (2, 1), struct.pack("<ff", 1, 2))
    assert feed.view(f32) == ("float32", (4,), f32.tobytes())
    assert feed.view(square) == ("float32", (2, 2), f32.tobytes())
    assert feed.view(memoryview(f32)[::2]) == ("float32", (2,), struct.pack("<ff", 1, 3))
    refuses(ValueError, feed.view, [1, [2]])
    refuses(ValueError, feed.view, array.array("I", [1]))
    assert feed.name_fields(5) == [("x", 5)]
    assert feed.name_fields((1, 2, 3)) == [("x", 1), ("y", 2), ("sample_weight", 3)]
    assert feed.name_fields(({"a": 1, "b": 2}, 3)) == [("a", 1), ("b", 2), ("y", 3)]


class Batches:
    """5 elements in batches of 2; `wrong` changes one of them."""

    def __init__(self, wrong=None):
        self.wrong, self.made, self.ended = wrong, [], 0

    def __len__(self):
        return 3

    def __getitem__(self, number):
        self.made.append(number)
        n = 1 if number == 2 or (number == 1 and self.wrong == "short") else 2
        x = [[float(2 * number + i)] for i in range(n)] if not (number == 1 and self.wrong == "kind") else [[1], [2]]
        return x, list(range(2 * number, 2 * number + n))

    def on_epoch_end(self):
        self.ended += 1


def check_sequence(feed):
    batches = Batches()
    source = feed.Sequence(batches, kinds={"x": "numeric"})
    spec = source.open()
    assert spec == {"fields": [{"name": "x", "kind": "numeric", "dtype": "float32", "shape": [1]},
                               {"name": "y", "kind": "label", "dtype": "int64", "shape": []}],
                    "elements": 5, "batch": 2, "by_epoch": False, "classes": []}, spec
    assert source.get([2, 3], 0) == struct.pack("<fqfq", 2, 2, 3, 3)
    assert source.get([3], 0) == struct.pack("<fq", 3, 3)
    assert source.get([0, 1], 0) == struct.pack("<fqfq", 0, 0, 1, 1)
    assert source.get([4], 0) == struct.pack("<fq", 4, 4)
    assert sorted(batches.made) == [0, 1, 1, 2], batches.made  # 0 and 2 were kept from open
    source.epoch_end(0)
    assert batches.ended == 1
    feed.Sequence([1]).epoch_end(0)  # has none
    for wrong in ("short", "kind"):
        source = feed.Sequence(Batches(wrong))
        source.open()
        refuses(ValueError, source.get, [2, 3], 0)


def check_generator(feed):
    def function():
        for i in range(5):
            yield [float(i)], i

    source = feed.Generator(function, classes=["a"])
    assert source.open()["classes"] == ["a"]
    rows = [struct.pack("<fq", i, i) for i in range(5)]
    assert source.next(2, 0) == rows[:2] and source.next(2, 2) == rows[2:4] and source.next(2, 4) == rows[4:]
    assert source.next(2, 5) == [] and source.next(1, 1) == rows[1:2] and source.next(1, 4) == rows[4:]
    broken = feed.Generator(lambda: iter([1, 1.5]))
    broken.open()
    refuses(ValueError, broken.next, 2, 0)


def talk(feed, source, requests, cut=b""):
    """serve() on pipes: what it answers to the requests."""
    frames = b"".join(struct.pack("<I", len(feed.pack(r))) + feed.pack(r) for r in requests) + cut
    keep = [os.dup(fd) for fd in (0, 1, 2)]
    (a, b), (c, d) = os.pipe(), os.pipe()
    null = os.open(os.devnull, os.O_WRONLY)
    os.write(b, frames)
    os.close(b)
    os.dup2(a, 0), os.dup2(d, 1), os.dup2(null, 2)
    try:
        feed.serve(source)
    finally:
        for fd, old in enumerate(keep):
            os.dup2(old, fd)
            os.close(old)
        for fd in (a, d, null):
            os.close(fd)
    return os.fdopen(c, "rb").read()


class Talks:
    def open(self):
        return {"fields": []}

    def get(self, indices, epoch):
        print("this goes to standard error")
        return b"x" * len(indices)

    def next(self, n, index):
        return [b"y"] * n

    def epoch_end(self, epoch):
        raise OSError("no")


def check_serve(feed):
    requests = [{"open": 1}, {"get": [1, 2], "epoch": 0}, {"next": 2, "index": 0}, {"epoch_end": 0}, {"later": 1}]
    out = io.BytesIO(talk(feed, Talks(), requests, b"\0"))
    answers = []
    for n_rows in (0, 2, 2, 0, 0):
        frame = out.read(struct.unpack("<I", out.read(4))[0])
        answers.append((feed.unpack(frame), out.read(n_rows)))
    assert answers == [({"fields": []}, b""), ({"n": 2}, b"xx"), ({"n": 2}, b"yy"), ({"error": "OSError: no"}, b""),
                       ({}, b"")], answers
    assert out.read() == b""
    assert talk(feed, Talks(), [{"close": 1}, {"open": 1}]) == b""


def lines_of(code):
    """Numbers of the lines that have code of their own, functions inside too."""
    found = {line for _, _, line in code.co_lines() if line}
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            found |= lines_of(const)
    return found


def test_every_line(_live):
    path, ran = str(FOLDER / "feed.py"), set()

    def trace(frame, event, _arg):
        if frame.f_code.co_filename != path:
            return None
        ran.add(frame.f_lineno)
        return trace

    sys.settrace(trace)
    try:
        feed = load("feed")
        for check in (check_msgpack, check_arrays, check_sequence, check_generator, check_serve):
            check(feed)
    finally:
        sys.settrace(None)
    missed = lines_of(compile(pathlib.Path(path).read_text(), path, "exec")) - ran
    assert not missed, f"lines of feed.py that never ran: {sorted(missed)}"


def write_cifar(folder, n):
    """CIFAR-10's form, n records whose pictures are as bright as their label."""
    draw = random.Random(3)
    folder.mkdir()
    records = b"".join(bytes([i % 10]) + bytes((i % 10) * 25 + draw.randrange(20) for _ in range(3072)) for i in range(n))
    (folder / "data_batch_1.bin").write_bytes(records)
    return records


def test_cifar10(live):
    """The Sequence gives Keras's form of the pictures, and trains; the batches of an epoch are a permutation."""
    records = write_cifar(live.folder / "cifar", 70)
    load("feed")
    cifar10 = load("cifar10")
    sequence = cifar10.CIFAR10Sequence([records[i:i + 3073] for i in range(0, len(records), 3073)], 32)
    assert len(sequence) == 3
    x, y = sequence[2]
    assert x.shape == (6, 32, 32, 3) and y == [i % 10 for i in range(64, 70)]
    planes = records[64 * 3073 + 1:65 * 3073]
    assert [x[0, 5, 7, c] for c in range(3)] == [planes[c * 1024 + 5 * 32 + 7] for c in range(3)]
    sequence.on_epoch_end()
    assert sorted(y for i in range(3) for y in sequence[i][1]) == sorted(i % 10 for i in range(70))
    live.start()
    live.feed("cifar", f"{sys.executable} {FOLDER}/cifar10.py {live.folder}/cifar 32")
    tests.wait_until(lambda: live.run("dataset", "show", "cifar", check=False).returncode == 0, "the feed")
    live.submit("cifar", "cifar", epochs=3, batch=32, pipeline=[])
    live.finish("cifar")
    spool = live.spool("cifar")
    labels = [sorted(struct.unpack_from("<q", (spool / f"{e}.rows").read_bytes(), i * 3080 + 3072)[0] for i in range(70))
              for e in range(3)]
    assert labels == [sorted(i % 10 for i in range(70))] * 3
    assert (spool / "0.rows").read_bytes() != (spool / "1.rows").read_bytes()


def test_waves(live):
    live.start()
    status, said = live.feed("waves", f"{sys.executable} {FOLDER}/waves.py 300").end()
    assert status == 0, said
    live.submit("waves", "waves", ops=[{"Rescaling": {"scale": 1.0}}])
    live.finish("waves")


def test_page(live):
    """The program of docs/feed.md, as it stands there."""
    page = (tests.ROOT / "docs/feed.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 1
    program = live.folder / "squares.py"
    program.write_text(blocks[0])
    (live.folder / "feed.py").write_text((FOLDER / "feed.py").read_text())
    live.start()
    live.feed("squares", f"{sys.executable} {program}")
    tests.wait_until(lambda: live.run("dataset", "show", "squares", check=False).returncode == 0, "the feed")
    live.submit("squares", "squares", epochs=2, ops=[{"Rescaling": {"scale": 1.0}}])
    live.finish("squares")


if __name__ == "__main__":
    tests.main(globals())
