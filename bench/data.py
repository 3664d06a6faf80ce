"""The rows of bench.py about data: a real worker process (bench_worker plays daemon and trainer), and its peers on the same files.

The data are made anew, of fixed seeds. "One CPU-second" rows are of what the worker process or the peer used, so other load on the machine
matters less to them.
"""
import array
import json
import os
import pathlib
import random
import resource
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import io

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SHARED = pathlib.Path(os.environ.get("MILLRACE_SHARED", ROOT.parent / "shared"))
RUNS, SECONDS = 3, 1.0
SMALL_ROWS, IMAGES, TABLE_ROWS, MEMBER = 200000, 20000, 100000, 98304


# ---- data ----------------------------------------------------------------------------------------


def npy(path, descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    header += b" " * (-(11 + len(header)) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)


def labels(folder, rows):
    npy(folder / "y.npy", "<i8", (rows,), array.array("q", (i % 10 for i in range(rows))).tobytes())


def make_small(folder):
    numbers = random.Random(1)
    npy(folder / "x.npy", "<f4", (SMALL_ROWS, 16), array.array("f", (numbers.random() for _ in range(SMALL_ROWS * 16))).tobytes())
    labels(folder, SMALL_ROWS)


def make_images(folder):
    npy(folder / "x.npy", "|u1", (IMAGES, 28, 28, 1), random.Random(2).randbytes(IMAGES * 784))
    labels(folder, IMAGES)


def make_cifar(folder):
    pixels = random.Random(3)
    (folder / "data_batch_1.bin").write_bytes(b"".join(bytes([i % 10]) + pixels.randbytes(3072) for i in range(10000)))


def make_table(folder):
    numbers = random.Random(4)
    lines = [",".join(f"{numbers.random():.5f}" for _ in range(16)) + f",{i % 10}\n" for i in range(1000)]
    (folder / "table.csv").write_text(",".join(f"c{i}" for i in range(16)) + ",y\n" + "".join(lines) * (TABLE_ROWS // 1000))


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, data):
    """A field of bytes of a protocol buffer."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(x, y):
    """A tf.train.Example of floats x and an integer y."""
    features = ((b"x", field(2, field(1, struct.pack(f"<{len(x)}f", *x)))), (b"y", field(3, field(1, varint(y)))))
    return field(1, b"".join(field(1, field(1, name) + field(2, value)) for name, value in features))


def masked_crc(data, table=[]):
    if not table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
            table.append(i)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def make_records(folder):
    numbers, records = random.Random(5), b""
    for i in range(1000):
        data = example([numbers.random() for _ in range(16)], i % 10)
        size = struct.pack("<Q", len(data))
        records += size + masked_crc(size) + data + masked_crc(data)
    (folder / "train.tfrecord").write_bytes(records * (TABLE_ROWS // 1000))


def make_shards(folder):
    """Four shards of 600 samples of 96 KiB, 236 MB in all."""
    data = random.Random(6).randbytes(MEMBER)
    for shard in range(4):
        with tarfile.open(folder / f"train-{shard:04d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for i in range(600):
                for ending, content in (("bin", data), ("cls", b"%d" % (i % 10))):
                    member = tarfile.TarInfo(f"{shard}/{i:06d}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def make_row(folder):
    npy(folder / "x.npy", "|u1", (9800, 3932), bytes(9800 * 3932))


# ---- ours and the peers --------------------------------------------------------------------------


class Data:
    """A folder of data, and what reads it."""

    def __init__(self, build, make):
        self.build = pathlib.Path(build).resolve()
        self.temporary = tempfile.TemporaryDirectory(prefix="millrace-bench-")
        self.folder = pathlib.Path(self.temporary.name) / "data"
        self.folder.mkdir()
        make(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def worker(self, stages, source=None, rows=None):
        """What bench_worker prints for a job of these stages."""
        job = {"data": {"train": {"dataset": "digits", **({"source": source} if source else {})}}, "pipeline": stages}
        path = self.folder.parent / "job.json"
        path.write_text(json.dumps(job))
        command = [self.build / "bench" / "bench_worker", self.folder, path, str(SECONDS), *([str(rows)] if rows else [])]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TEST_BUILD_ROOT": str(self.build)})
        if done.returncode != 0:
            raise SystemExit(f"bench: bench_worker: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def tfdata(self, work):
        python = ROOT / ".venv-keras" / "bin" / "python"
        if not python.exists():
            return None
        done = subprocess.run([python, HERE / "peer_tfdata.py", work, self.folder, str(SECONDS)], capture_output=True, text=True)
        if done.returncode != 0:
            print(f"bench: peer_tfdata.py {work} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
            return None
        return json.loads(done.stdout)

    def cat(self):
        """Seconds, and CPU-seconds, of `cat FILES > /dev/null`: from the page cache, as the files were just written or read."""
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(["cat", *sorted(self.folder.iterdir())], stdout=subprocess.DEVNULL, check=True)
        seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def best(values):
    values = [v for v in values if v]
    return max(values) if values else None


def beside_tfdata(row, bench, name, data, work, stages, source=None, goal=None):
    """Rows a second of a worker and of tf.data, in turns."""
    ours, peers = [], []
    for _ in range(RUNS):
        ours.append(data.worker(stages, source))
        peers.append(data.tfdata(work) if work else None)
    peers = [p for p in peers if p]
    peer_name = "tf.data, one thread" if peers else None
    row(bench, name, "rows/s", best(o["rows"] / o["seconds"] for o in ours), best(p["rows_per_s"] for p in peers), peer_name, goal=goal)
    row(bench, f"{name}, one CPU-second", "rows/s", best(o["rows"] / o["cpu_s"] for o in ours),
        best(p["rows_per_s"] / p["cpu_share"] for p in peers), peer_name)


def bench_shuffle(build, row):
    for n, name in ((1000000000, "10^9 positions"), (65537, "65,537 positions")):
        runs = [json.loads(subprocess.run([pathlib.Path(build) / "bench" / "bench_perm", str(n), "0.5"], capture_output=True, text=True,
                                          check=True).stdout) for _ in range(RUNS)]
        row("shuffle", f"{name}, in blocks of 1,024", "M/s", best(r["block"] for r in runs), goal=">= 20")
        row("shuffle", f"{name}, in blocks, without vector units", "M/s", best(r["plain"] for r in runs))
        row("shuffle", f"{name}, one by one", "M/s", best(r["single"] for r in runs))
        row("shuffle", f"{name}: memory", "bytes", runs[0]["memory"], goal="O(1)", less=True)


def bench_slices(build, row):
    rescale = {"map": [{"Rescaling": {"scale": 1 / 255}}]}
    with Data(build, make_small) as data:
        beside_tfdata(row, "slices", "float32 (16,) and a label, batches of 1,024", data, "slices", [{"batch": 1024}],
                      goal=">= 1,000,000, >= 5 times")
        beside_tfdata(row, "slices", "the same, shuffled", data, "slices_shuffled", ["shuffle", {"batch": 1024}], goal=">= 1,000,000")
    with Data(build, make_images) as data:
        beside_tfdata(row, "slices", "uint8 (28, 28, 1) shuffled, to float32 and rescaled, batches of 256", data, "rescale",
                      ["shuffle", rescale, {"batch": 256}])
    with Data(build, make_cifar) as data:
        beside_tfdata(row, "slices", "CIFAR-10 shuffled, to float32 and rescaled, batches of 256", data, None,
                      ["shuffle", rescale, {"batch": 256}])


def bench_csv(build, row):
    with Data(build, make_table) as data:
        fields = {"x": {"from": [f"c{i}" for i in range(16)]}, "y": "y"}
        beside_tfdata(row, "csv", "16 numbers and a label, batches of 1,024", data, "csv", [{"batch": 1024}], {"csv": {"fields": fields}})


def bench_tfrecord(build, row):
    with Data(build, make_records) as data:
        beside_tfdata(row, "tfrecord", "Examples of 16 floats and a label, batches of 1,024", data, "tfrecord", [{"batch": 1024}],
                      {"tfrecord": {"fields": {"x": "x", "y": "y"}}})


def bench_tar(build, row):
    """In order, from the page cache; the bytes of the archives on both sides."""
    fields = {"x": {"from": "bin", "dtype": "uint8", "shape": [MEMBER]}, "y": "cls"}
    with Data(build, make_shards) as data:
        size = sum(path.stat().st_size for path in data.folder.iterdir())
        ours, cat = [], []
        for _ in range(2 * RUNS):
            ours.append(data.worker([{"batch": 64}], {"webdataset": {"fields": fields}}))
            cat.append(data.cat())
        read = [o["rows"] * size / 2400 / 1e9 for o in ours]
        row("tar", "members of 96 KiB, batches of 64", "GB/s", best(n / o["seconds"] for n, o in zip(read, ours)),
            best(size / 1e9 / c[0] for c in cat), "cat to /dev/null", goal=">= 0.9")
        row("tar", "members of 96 KiB, batches of 64, one CPU-second", "GB/s", best(n / o["cpu_s"] for n, o in zip(read, ours)),
            best(size / 1e9 / c[1] for c in cat if c[1] > 0), "cat to /dev/null", goal=">= 0.9")


def handoff_peer(folder):
    """The sketch that hands over memory with a token and nothing else, compiled; or None."""
    source = SHARED / "peers" / "handoff.c"
    program = folder / "handoff"
    done = source.exists() and subprocess.run(["cc", "-O2", "-w", source, "-lzmq", "-pthread", "-o", program], stderr=subprocess.DEVNULL)
    return program if done and done.returncode == 0 else None


def bench_handoff(build, row):
    """From a worker to who asked it, four batches ahead: all that is not making rows. Of each batch one row is made, as in the sketch. The
    fastest 256 batches in a row count, and of the sketch the fastest of runs of as many: on a busy machine those that were let run."""
    with Data(build, make_row) as data:
        peer = handoff_peer(data.folder.parent)
        for rows, name in ((50, "197 kB"), (2450, "9.6 MB"), (9800, "38.5 MB")):
            ours, peers, alone = [], [], []
            for _ in range(2 * RUNS):
                o = data.worker(["repeat", {"batch": rows}, {"take": 100}], rows=1)
                ours.append(o["best_us"])
                alone.append(o["round_us"])
                for _ in range(20 if peer else 0):
                    done = subprocess.run([peer, "shm", str(rows * 3932), "0.008"], capture_output=True, text=True)
                    peers += [json.loads(done.stdout)["us_each"]] if done.returncode == 0 else []
            row("handoff", f"a batch of {name} through the slab", "us", min(ours), min(peers, default=None),
                "handoff.c: slab and token alone" if peers else None, goal="<= 30", less=True)
            row("handoff", f"a batch of {name}: question to answer, one at a time", "us", min(alone), less=True)


BENCHES = {f.__name__[6:]: f for f in (bench_shuffle, bench_slices, bench_csv, bench_tfrecord, bench_tar, bench_handoff)}
