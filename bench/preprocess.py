"""The rows of bench.py about preprocessing layers: an op into the rows of a batch, beside Keras's layer inside tf.data on the same data.

Rates are samples a CPU-second of one thread. Texts are those of ../shared where they are there, else made anew.
"""
import array
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import data

HERE = pathlib.Path(__file__).resolve().parent
SHARED = data.SHARED
RUNS, SECONDS = 3, 1.0
# work, what is asked of ours over Keras
KERAS = (("text_int", 8), ("text_tf_idf", 8), ("string_lookup", 8), ("hashing", 8), ("hashing_salt", 8), ("discretization", 5),
         ("resizing", 5))
COPY = (("rescaling", 0.8), ("normalization", 0.8))


def read_texts():
    path = SHARED / "data" / "text" / "movie_reviews_train.tsv.gz"
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [line.rstrip("\n").split("\t", 1)[1] for line in file][1:]
    draw = random.Random(5)
    return [" ".join(f"word{int(draw.paretovariate(0.8)) % 20000}" for _ in range(20)) for _ in range(8000)]


def make(folder):
    texts = read_texts()
    (folder / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    words = " ".join(texts).split()
    (folder / "words.txt").write_text("\n".join(words[:100000]) + "\n", encoding="utf-8")
    draw = random.Random(6)
    data.npy(folder / "floats.npy", "<f4", (65536, 16), array.array("f", (draw.gauss(0, 1) for _ in range(65536 * 16))).tobytes())
    pixels = array.array("f", (draw.random() for _ in range(128 * 128 * 3))).tobytes()
    data.npy(folder / "pictures.npy", "<f4", (1024, 128, 128, 3), pixels * 1024)
    data.npy(folder / "photos.npy", "|u1", (64, 375, 500, 3), draw.randbytes(375 * 500 * 3) * 64)


def ours(build, folder, work):
    program = pathlib.Path(build) / "bench" / "bench_preprocess"
    done = subprocess.run([program, folder, str(SECONDS), work], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def peer(folder, work, venv="keras"):
    python = data.ROOT / f".venv-{venv}" / "bin" / "python"
    if not python.exists():
        return None
    done = subprocess.run([python, HERE / "peer_preprocess.py", folder, str(SECONDS), work], capture_output=True, text=True,
                          env=dict(os.environ, OMP_NUM_THREADS="1"))
    if done.returncode != 0:
        print(f"bench: peer_preprocess.py {work} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])["rate"]


def best(results):
    results = [result for result in results if result]
    return max(results) if results else None


def bench_preprocess(build, row):
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = pathlib.Path(name)
        make(folder)
        for work, goal in KERAS:
            pairs = [(ours(build, folder, work)["rate"], peer(folder, work)) for _ in range(RUNS)]
            row("preprocess", work, "samples/CPU-s", best(p[0] for p in pairs), best(p[1] for p in pairs), "Keras in tf.data", goal=goal)
        pairs = [(ours(build, folder, "resizing")["rate"], peer(folder, "pillow", "formats")) for _ in range(RUNS)]
        row("preprocess", "resizing", "samples/CPU-s", best(p[0] for p in pairs), best(p[1] for p in pairs), "Pillow", goal=3)
        for work, goal in COPY:
            pairs = [(ours(build, folder, work)["bytes"] / 1e9, ours(build, folder, "copy")["bytes"] / 1e9) for _ in range(RUNS)]
            row("preprocess", work, "GB/CPU-s", best(p[0] for p in pairs), best(p[1] for p in pairs), "memcpy", goal=goal)
            row("preprocess", work, "samples/CPU-s", best(ours(build, folder, work)["rate"] for _ in range(RUNS)), peer(folder, work),
                "Keras in tf.data")


BENCHES = {"preprocess": bench_preprocess}
