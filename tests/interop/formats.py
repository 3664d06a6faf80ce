#!/usr/bin/env python3
"""Every format read by millrace equals what its reference library reads: files of ../shared and files that the libraries write.

Installs the libraries (tools/peers.txt, row `formats`) into .venv-formats beside the sources when it is not there.
Needs the program `dump` as argument.
"""
import csv
import gzip
import io
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv-formats"
SHARED = pathlib.Path(os.environ.get("MILLRACE_SHARED", ROOT.parent / "shared")) / "data"


def enter_venv():
    """Goes on in the virtual environment, or skips."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        packages = next(line.split()[1:] for line in (ROOT / "tools" / "peers.txt").read_text().splitlines()
                        if line.startswith("formats "))
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=False)
        if done.returncode != 0:
            shutil.rmtree(VENV)
            print("SKIP: the reference libraries cannot be installed here, the package index does not answer")
            sys.exit(77)
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    os.execve(python, [python, __file__, *sys.argv[1:]], environment)


class Checks:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.passed = self.failed = self.made = 0

    def dump(self, form, path, name=""):
        done = subprocess.run([self.program, form, path, name], capture_output=True, check=False)
        if done.returncode != 0:
            raise ValueError(done.stderr.decode())
        return done.stdout

    def file(self, content=b"", ending="x"):
        self.made += 1
        path = self.folder / f"{self.made}.{ending}"
        path.write_bytes(content)
        return path

    def __call__(self, what, ours, theirs):
        """ours: a function that reads; equal to theirs?"""
        try:
            got = ours()
            good = got == theirs if isinstance(theirs, (bytes, str, list)) else bool((got == theirs).all())
            text = ""
        except ValueError as error:
            good, text = False, str(error).strip()
        self.passed += good
        self.failed += not good
        if not good:
            print(f"FAILED  {what} {text}", flush=True)


def images(check):
    import numpy as np
    from PIL import Image, ImageOps
    modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

    def ours(path, channels):
        head, pixels = check.dump("image", path, str(channels)).split(b"\n", 1)
        return np.frombuffer(pixels, np.uint8).reshape([int(n) for n in head.split()])

    def compare(path, what):
        image = Image.open(path)
        if image.mode == "I;16":
            theirs = (np.asarray(image) >> 8).astype(np.uint8)[:, :, None]
            check(f"image {what}", lambda: ours(path, 0), theirs)
            return
        image = ImageOps.exif_transpose(image)
        try:
            native = ours(path, 0).shape[2]
        except ValueError as error:
            check(f"image {what}: {error}", lambda: b"", b"x")
            return
        if image.mode != "CMYK":
            for channels in [native, 3]:
                mode = modes[channels]
                theirs = np.asarray(image.convert(mode)).reshape(image.height, image.width, channels)
                check(f"image {what} {mode}", lambda n=0 if channels == native else channels: ours(path, n), theirs)

    for path in sorted((SHARED / "photos").glob("*.jpg")) + sorted((SHARED / "photos" / "variants").iterdir()):
        if path.suffix != ".ppm" and "truncated" not in path.name:
            compare(path, path.name)
    dune = Image.open(SHARED / "photos" / "variants" / "dune_rgb.png").convert("RGB")
    small = dune.resize((37, 23))
    alpha = small.copy()
    alpha.putalpha(small.convert("L"))
    made = [("bmp", small.convert(mode), {}) for mode in ["1", "L", "P", "RGB"]] + [("bmp", alpha, {})]
    made += [("gif", small.convert("P"), {}), ("gif", small.convert("P"), {"transparency": 3}),
             ("gif", small.convert("P"), {"interlace": 0}), ("gif", small.convert("L"), {}),
             ("gif", dune.convert("P"), {"save_all": True, "append_images": [dune.rotate(90).convert("P")]})]
    made += [("webp", small, {"lossless": True}), ("webp", alpha, {"lossless": True}), ("webp", dune, {"quality": 50})]
    made += [("png", alpha, {}), ("png", small.convert("P"), {"transparency": 3}), ("png", small.convert("1"), {})]
    for n in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = n
        made += [(form, small, {"exif": exif}) for form in ["jpeg", "png", "webp"]]
    stream = io.BytesIO()
    small.save(stream, "jpeg")
    whole = stream.getvalue()
    bare, at = whole[:2], 2
    while whole[at + 1] != 0xda:  # without its Huffman tables, as films have their frames
        size = 2 + int.from_bytes(whole[at + 2:at + 4], "big")
        bare += whole[at:at + size] if whole[at + 1] != 0xc4 else b""
        at += size
    check("image jpeg without tables", lambda: ours(check.file(bare + whole[at:]), 3), ours(check.file(whole), 3))
    for form, image, options in made:
        path = check.file(ending=form)
        image.save(path, **options)
        compare(path, f"{form} {image.mode} {options if 'exif' not in options else 'exif'}")


def arrays(check):
    import h5py
    import numpy as np
    rng = np.random.default_rng(1)
    widened = {"uint32": "int64", "uint64": "int64", "float16": "float32"}

    def ours(form, path, name=""):
        head, data = check.dump(form, path, name).split(b"\n", 1)
        dtype, *shape = head.split()
        return np.frombuffer(data, dtype.decode()).reshape([int(n) for n in shape])

    for dtype in ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]:
        for shape in [(), (7,), (5, 3), (4, 3, 2), (0, 3)]:
            values = np.asarray(rng.integers(0, 2 if dtype == "bool" else 100, shape)).astype(dtype)
            wanted = values.astype(widened.get(values.dtype.name, values.dtype.name))
            for order in "<>":
                for fortran in [False, True]:
                    path = check.file(ending="npy")
                    array = values.astype(values.dtype.newbyteorder(order))
                    np.save(path, np.asfortranarray(array) if fortran else array)
                    check(f"npy {array.dtype} {shape} {fortran}", lambda p=path: ours("npy", p), wanted)
            path = check.file(ending="h5")
            with h5py.File(path, "w", libver="latest" if dtype == "i4" else None) as file:
                file["plain"] = values
                if values.size and values.ndim:
                    options = {"chunks": tuple(min(2, n) for n in shape), "compression": "gzip", "shuffle": True}
                    file.create_dataset("group/packed", data=values, **options)
            check(f"hdf5 {dtype} {shape}", lambda p=path: ours("hdf5", p, "plain"), wanted)
            if values.size and values.ndim:
                check(f"hdf5 packed {dtype} {shape}", lambda p=path: ours("hdf5", p, "group/packed"), wanted)
    for save in [np.savez, np.savez_compressed]:
        path = check.file(ending="npz")
        x, y = rng.normal(size=(50, 4, 3)), np.arange(50)
        save(path, x=x, y=y)
        check("npz x", lambda p=path: ours("npz", p, "x"), x)
        check("npz y", lambda p=path: ours("npz", p, "y"), y)


def same_cell(ours, theirs):
    """A value of ours beside the text of the csv module and the number of pandas."""
    text, number = theirs
    kind, value = ours[:1], ours[1:]
    if kind == "M":
        return text == ""
    if kind == "T":
        return bytes.fromhex(value).decode() == text
    return (int(value) if kind == "I" else float.fromhex(value)) == number


def tables(check):
    import pandas
    for path in sorted((SHARED / "tabular").glob("*.csv")):
        with open(path, newline="", encoding="utf-8-sig") as file:
            texts = [row for row in csv.reader(file) if row][1:]
        frame = pandas.read_csv(path, keep_default_na=False, na_values=[""])

        def ours(path=path, texts=texts, frame=frame):
            rows = [line.split(" ") for line in check.dump("csv", path).decode().splitlines()]
            good = len(rows) == len(texts) == len(frame)
            for c, column in enumerate(frame.columns):
                kinds = {row[c][0] for row in rows} - {"M"}
                numbers = frame[column].tolist()
                is_number = pandas.api.types.is_numeric_dtype(frame[column]) and not pandas.api.types.is_bool_dtype(frame[column])
                good = good and is_number == (not kinds & {"T"})
                good = good and all(same_cell(r[c], (t[c], n)) for r, t, n in zip(rows, texts, numbers))
            return [good]
        check(f"csv {path.name} beside csv and pandas", ours, [True])
    rng = random.Random(1)
    numbers = [repr(struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64) & ~(1 << 62)))[0]) for _ in range(20000)]
    numbers += [f"{rng.getrandbits(200)}e{rng.randrange(-400, 200)}" for _ in range(20000)]
    numbers += [f"0.{rng.getrandbits(60):020d}" for _ in range(20000)]
    numbers = [text for text in numbers if float(text) - float(text) == 0]
    path = check.file(("x\n0.5\n" + "\n".join(numbers) + "\n").encode())
    check(f"csv {len(numbers)} numbers to the last bit",
          lambda: [float.fromhex(line[1:]).hex() for line in check.dump("csv", path).decode().split()[1:]],
          [float(text).hex() for text in numbers])
    cells = [["".join(rng.choice('a"\n\r, é') for _ in range(rng.randrange(8))) for _ in range(3)] for _ in range(500)]
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["a", "b", "c"], *cells])
    quoted = check.file(out.getvalue().encode())
    check("csv quotes", lambda: [[bytes.fromhex(cell[1:]).decode() for cell in line.split(" ")]
                                 for line in check.dump("csv", quoted).decode().splitlines()], cells)


def texts(check):
    import tensorflow as tf
    import zstandard
    for path in sorted((SHARED / "text").glob("*.tsv.gz")):
        plain = check.file(gzip.open(path).read())
        theirs = [line.numpy().hex() for line in tf.data.TextLineDataset(str(plain))]
        check(f"lines {path.name}", lambda p=plain: check.dump("lines", p).decode().splitlines(), theirs)
        check(f"gzip {path.name}", lambda p=path: check.dump("unpack", p), plain.read_bytes())
    data = os.urandom(1000) + bytes(5000) + b"abc" * 70000
    for name, packed in [("gzip", gzip.compress(data) + gzip.compress(data[:9])), ("zlib", zlib.compress(data)),
                         ("zstd", zstandard.ZstdCompressor(level=19).compress(data) + zstandard.compress(data[:9]))]:
        check(f"unpack {name}", lambda p=check.file(packed): check.dump("unpack", p),
              data if name == "zlib" else data + data[:9])
    rows = [{"text": "é\u0001\"\\", "n": 2**53 + 1, "x": 0.1, "deep": [{"a": [None, True, -1e-300]}]}, {}, {"": ""}]
    path = check.file("\n\n".join(json.dumps(row) for row in rows).encode())
    check("jsonl", lambda: [json.loads(line) for line in check.dump("jsonl", path).decode().splitlines()], rows)


def feature_text(name, feature):
    kind = feature.WhichOneof("kind")
    values = {None: lambda: [], "bytes_list": lambda: [v.hex() for v in feature.bytes_list.value],
              "float_list": lambda: [struct.pack("<f", v).hex() for v in feature.float_list.value],
              "int64_list": lambda: [str(v) for v in feature.int64_list.value]}[kind]()
    number = [None, "bytes_list", "float_list", "int64_list"].index(kind)
    return ",".join([f"{name}:{number}", *values])


def records(check):
    import tensorflow as tf
    rng = random.Random(2)
    made = []
    for i in range(200):
        features = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[os.urandom(rng.randrange(3000)) for _ in range(i % 3)])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[rng.randrange(-2**63, 2**63) for _ in range(i % 5)])),
                    "w": tf.train.Feature(float_list=tf.train.FloatList(value=[rng.gauss(0, 1e3) for _ in range(i % 4)])),
                    "nothing": tf.train.Feature()}
        made.append(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    for packing in [None, "GZIP", "ZLIB"]:
        path = check.file(ending="tfrecord")
        with tf.io.TFRecordWriter(str(path), packing) as writer:
            for record in made:
                writer.write(record)
        plain = path if packing is None else check.file(check.dump("unpack", path))
        theirs = []
        for record in tf.data.TFRecordDataset(str(path), packing):
            example = tf.train.Example.FromString(record.numpy())
            theirs.append(sorted(feature_text(k, v) for k, v in example.features.feature.items()))
        check(f"tfrecord {packing}", lambda p=plain: [sorted(line.split()) for line in check.dump("tfrecord", p).decode().splitlines()], theirs)


def archives(check):
    for form in [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]:
        path = check.file(ending="tar")
        with tarfile.open(path, "w", format=form) as tar:
            for i in range(60):
                name = f"d{i % 3}/é{i:04d}" + ("/" + "n" * 90 + "/" + "m" * (i * 2) if form != tarfile.USTAR_FORMAT else "") + ".txt"
                info = tarfile.TarInfo(name)
                info.size = i * 97
                tar.addfile(info, io.BytesIO(bytes(info.size)))
        with tarfile.open(path) as tar:
            theirs = [f"{m.name}\t{m.offset_data}\t{m.size}" for m in tar.getmembers() if m.isfile()]
        check(f"tar form {form}", lambda p=path: check.dump("tar", p).decode().splitlines(), theirs)


def media(check):
    import av
    import numpy as np
    import soundfile

    def sound(path):
        head, data = check.dump("audio", path).split(b"\n", 1)
        rate, channels, _ = (int(n) for n in head.split())
        return rate, np.frombuffer(data, np.float32).reshape(-1, channels)

    waves = sorted(SHARED.glob("digits_real/*/*.wav")) + sorted(SHARED.glob("drums/val/*/*.wav"))[:40]
    rng = np.random.default_rng(3)
    wave = np.cumsum(rng.normal(size=(30000, 2)), axis=0) / 300
    wave /= abs(wave).max() * 1.01
    for form, subtype in [("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"),
                          ("WAV", "DOUBLE"), ("WAV", "ULAW"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS")]:
        path = check.file(ending=f"{subtype}.{form.lower()}")
        soundfile.write(path, wave, 16000, format=form, subtype=subtype)
        waves.append(path)
    for path in waves:
        theirs, rate = soundfile.read(path, dtype="float32", always_2d=True)
        check(f"sound {path.name}: rate, length", lambda p=path: [sound(p)[0], len(sound(p)[1])], [rate, len(theirs)])
        if path.suffix == ".ogg":  # lossy, by libraries of two versions: half a step of 16 bits
            check(f"sound {path.name}", lambda p=path, t=theirs: abs(sound(p)[1] - t) < 2**-15, np.bool_(True))
        else:
            check(f"sound {path.name}", lambda p=path: sound(p)[1], theirs)
    for path in [*sorted(SHARED.glob("video/*.avi")), *sorted(SHARED.glob("video/moves/train/*/0*.avi"))[:12]]:
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            head = [str(stream.width), str(stream.height)]
            rate = float(stream.average_rate)
            packets = [bytes(packet) for packet in film.demux(stream) if packet.size > 0]
        data = path.read_bytes()

        def ours(path=path, data=data, rate=rate):
            first, *rows = check.dump("avi", path).decode().splitlines()
            width, height, over, under = first.split()
            good = abs(int(over) / int(under) - rate) < 1e-3
            return [[width, height] if good else first] + [data[int(a):int(a) + int(n)] for a, n in (row.split() for row in rows)]
        check(f"film {path.name}", ours, [head, *packets])


def labels(check):
    import numpy as np
    rng = np.random.default_rng(4)
    pictures, numbers = rng.integers(0, 256, (20, 3, 32, 32), np.uint8), rng.integers(0, 10, 20, np.uint8)
    path = check.file(b"".join(bytes([n]) + p.tobytes() for n, p in zip(numbers, pictures)))
    check("cifar", lambda: check.dump("cifar", path).decode().splitlines(),
          [f"{n} {p.transpose(1, 2, 0).tobytes().hex()}" for n, p in zip(numbers, pictures)])
    f = lambda v: f"{np.float32(v):.9g}"  # noqa: E731
    for path in sorted(SHARED.glob("*_detect/*/coco.json")):
        coco = json.loads(path.read_text())
        names = {c["id"]: (c["name"], i) for i, c in enumerate(sorted(coco["categories"], key=lambda c: c["id"]))}
        theirs = []
        for image in coco["images"]:
            for a in coco["annotations"]:
                if a["image_id"] == image["id"]:
                    x, y, w, h = a["bbox"]
                    name, number = names[a["category_id"]]
                    theirs.append(f"{image['file_name']} {name} {number} {f(x)} {f(y)} {f(x + w)} {f(y + h)}")
        check(f"coco {path.parent.name}", lambda p=path: check.dump("boxes", p, "coco").decode().splitlines(), theirs)
    objects = [(f"thing{i}", *rng.uniform(0, 500, 2).round(2)) for i in range(30)]
    text = "<annotation><filename>a.jpg</filename>" + "".join(
        f"<object><name>{n}</name><bndbox><xmax>{x + 9:.2f}</xmax><xmin>{x}</xmin><ymin>{y}</ymin><ymax>{y + 7:.2f}</ymax></bndbox></object>"
        for n, x, y in objects) + "</annotation>"
    tree = xml.etree.ElementTree.fromstring(text)
    theirs = []
    for thing in tree.iter("object"):
        box = [f(np.float32(thing.find("bndbox/" + side).text)) for side in ("xmin", "ymin", "xmax", "ymax")]
        theirs.append(" ".join([tree.findtext("filename"), thing.findtext("name"), "-1", *box]))
    check("voc", lambda p=check.file(text.encode()): check.dump("boxes", p, "voc").decode().splitlines(), theirs)
    boxes = [(int(n), *rng.uniform(0, 1, 4).round(6)) for n in range(30)]
    text = "".join(f"{n} {x} {y} {w} {h}\n" for n, x, y, w, h in boxes)
    theirs = [f"- - {n} {f((x - w / 2) * 640)} {f((y - h / 2) * 480)} {f((x + w / 2) * 640)} {f((y + h / 2) * 480)}"
              for n, x, y, w, h in boxes]
    check("yolo", lambda p=check.file(text.encode()): check.dump("boxes", p, "yolo").decode().splitlines(), theirs)


def main():
    if pathlib.Path(sys.prefix) != VENV:
        enter_venv()
    if not SHARED.exists():
        print(f"SKIP: no {SHARED}: the shared folder")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        check = Checks(sys.argv[1], folder)
        for part in [images, arrays, tables, texts, records, archives, media, labels]:
            before = check.passed
            part(check)
            print(f"ok      {part.__name__}: {check.passed - before}", flush=True)
    print(f"{check.passed} passed, {check.failed} failed")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
