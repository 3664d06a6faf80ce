#!/usr/bin/env python3
"""Real Keras opens what millrace trained and predicts the same; millrace goes on from it and from what Keras saved.

Installs Keras into .venv-keras beside the sources when it is not there. Needs the build folder as argument.
"""
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import bench  # noqa: E402  (the daemon on folders of its own)

ROWS = 64
JUDGE = r"""
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, keras
request = json.load(sys.stdin)
images = np.frombuffer(bytes.fromhex(request["images"]), np.uint8).reshape(-1, 28, 28, 1)
x = images.astype("float32") * np.float32(request["scale"])
model = keras.saving.load_model(request["model"])
answer = {"predictions": model.predict(x, verbose=0).tolist(), "compiled": model.compiled,
          "iterations": int(model.optimizer.iterations) if model.compiled else None}
json.dump(answer, sys.stdout)
"""


def venv():
    python = ROOT / ".venv-keras" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / ".venv-keras"], check=True)
        packages = next(line.split()[1:] for line in (ROOT / "tools" / "peers.txt").read_text().splitlines()
                        if line.startswith("keras"))
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=False)
        if done.returncode != 0:
            shutil.rmtree(ROOT / ".venv-keras")
            print("SKIP: Keras cannot be installed here, the package index does not answer")
            sys.exit(77)
    return python


def digits(n):
    folder = ROOT / "examples" / "digits"
    images = gzip.open(folder / "t10k-images-idx3-ubyte.gz").read()[16:16 + n * 784]
    labels = gzip.open(folder / "t10k-labels-idx1-ubyte.gz").read()[8:8 + n]
    return images, list(labels)


def judge(python, request):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    done = subprocess.run([python, "-c", JUDGE], input=json.dumps(request), capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit("Keras refused:\n" + done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


class Checks:
    passed = failed = 0

    def __call__(self, what, good):
        self.passed += bool(good)
        self.failed += not good
        print(("ok      " if good else "FAILED  ") + what, flush=True)


def worst(a, b):
    return max(abs(x - y) for p, q in zip(a, b) for x, y in zip(p, q))


def train(daemon, *arguments, source=None):
    """Runs the digits; `source` is the job whose model it starts from. Gives what `show` says."""
    file = ROOT / "examples" / "digits.yaml"
    if source is not None:
        text = file.read_text()
        start, end = text.index("model:\n"), text.index("compile:")
        file = pathlib.Path(daemon.folder.name) / "again.yaml"
        file.write_text(f"{text[:start]}model: {{from: {source}}}\n{text[end:]}")
    events = [event for _, event in daemon.events("run", file, *arguments)]
    job = next(event["data"]["job"] for event in reversed(events) if event.get("kind") == "state")
    return daemon.run("show", job)


def predict(daemon, job):
    rows = ",".join(map(str, range(ROWS)))
    return daemon.run("predict", job, "--dataset=digits", "--split=test", f"--rows={rows}")["predictions"]


def first_accuracy(job):
    return job["history"][0]["metrics"]["val_accuracy"]


def main():
    build = sys.argv[1]
    python, check = venv(), Checks()
    images, labels = digits(ROWS)
    daemon = bench.Daemon(build)
    try:
        daemon.run("dataset", "put", "digits", ROOT / "examples" / "digits")
        job = train(daemon, "--epochs=2")
        ours = predict(daemon, job["job"])
        request = dict(images=images.hex(), labels=labels, scale=1 / 255, model=job["model"])
        theirs = judge(python, request)
        check("the .keras file opens compiled in Keras", theirs["compiled"])
        check("Keras sees the optimizer's iterations", theirs["iterations"] == job["progress"]["global_step"])
        check(f"Keras predicts the same to 1e-5 ({worst(ours, theirs['predictions']):.2g})", worst(ours, theirs["predictions"]) <= 1e-5)
        later = train(daemon, "--epochs=1", source=job["job"])
        check(f"a second job starts from it ({first_accuracy(job):.4f}, {first_accuracy(later):.4f})",
              first_accuracy(later) > first_accuracy(job))
    finally:
        daemon.close()
    print(f"{check.passed} passed, {check.failed} failed")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
