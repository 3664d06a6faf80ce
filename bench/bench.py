#!/usr/bin/env python3
"""Benchmarks: one JSON object a line with bench, row, unit, ours, peer, peer_name, limit, ratio, goal.

ratio is ours over the best peer, or the peer over ours where less is better: more is always better. Machines are shared and noisy:
runs of ours and of the peers are interleaved and the best of each counts. Peers run when ./dev peers has installed them.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import data
import preprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("MILLRACE_SHARED", ROOT.parent / "shared"))
RUNS = 3
# Rows that need no daemon.
ALONE = data.BENCHES | preprocess.BENCHES
# Peers that train LeNet on one thread: name, environment, script, mode.
LENET_PEERS = (
    ("keras", "keras", "keras_train.py", "fit"),
    ("keras, XLA", "keras", "keras_train.py", "xla"),
    ("pytorch", "torch", "torch_train.py", "eager"),
    ("pytorch, compiled", "torch", "torch_train.py", "compile"),
)
# Peers from a process's start to the first batch of LeNet trained, and their memory.
START_PEERS = (("keras", "keras"), ("pytorch", "torch"))


def row(bench, name, unit, ours, peer=None, peer_name=None, limit=None, goal=None, less=False):
    ratio = None
    if peer and ours:
        ratio = round(peer / ours if less else ours / peer, 3)
    print(json.dumps(dict(bench=bench, row=name, unit=unit, ours=round(ours, 4) if ours is not None else None, peer=peer,
                          peer_name=peer_name, limit=limit, ratio=ratio, goal=goal)), flush=True)


class Daemon:
    """A millraced on folders of its own, and the command line that speaks to it."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.folder = tempfile.TemporaryDirectory(prefix="millrace-bench-")
        top = pathlib.Path(self.folder.name)
        self.socket = top / "run" / "control.sock"
        self.log = open(top / "log", "wb")
        self.process = subprocess.Popen(
            [self.build / "daemon" / "millraced", f"--state_dir={top / 'state'}", f"--run_dir={top / 'run'}"],
            stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 10
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench: millraced did not start:\n" + (top / "log").read_text())
            time.sleep(0.01)

    def client(self, *arguments):
        return [str(self.build / "client" / "millrace"), *map(str, arguments), f"--socket={self.socket}", "--json"]

    def run(self, *arguments):
        done = subprocess.run(self.client(*arguments), capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"bench: {arguments}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def events(self, *arguments):
        """The JSON lines of a watching command, each with the seconds since it was started."""
        start = time.monotonic()
        with subprocess.Popen(self.client(*arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            for line in process.stdout:
                yield time.monotonic() - start, json.loads(line)

    def pss_bytes(self):
        """Proportional memory of the daemon and all below it."""
        children = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
                children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
            except (OSError, IndexError):
                continue
        total, left = 0, [self.process.pid]
        while left:
            pid = left.pop()
            left += children.get(pid, [])
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
            except OSError:
                continue
        return total

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.folder.cleanup()


def events_of(kind, stream):
    for seconds, event in stream:
        if event.get("kind") == kind:
            yield seconds, event.get("data") or {}


def peer(venv, script, *arguments, **variables):
    """The last JSON line of a peer's script, or None when it is not installed. Some look for ../data beside them."""
    python = ROOT / f".venv-{venv}" / "bin" / "python"
    if not python.exists() or not (SHARED / "peers" / script).exists():
        return None
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")} | variables
    done = subprocess.run([python, SHARED / "peers" / script, *map(str, arguments)], capture_output=True, text=True, env=environment,
                          cwd=SHARED / "peers")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        print(f"bench: {venv}: {script} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return json.loads(lines[-1])


def start_peers():
    return [(name, peer(venv, "startup.py", venv, 1)) for name, venv in START_PEERS]


def best_peer(results, key, less=False):
    found = [(r[key], name) for name, r in results if r and r.get(key)]
    if not found:
        return None, None
    return min(found) if less else max(found)


def bench_start(daemon):
    """Submit to first step of LeNet, daemon running, checkers included."""
    best, peers = None, []
    for _ in range(RUNS):
        first = None
        for seconds, data in events_of("progress", daemon.events("run", ROOT / "bench" / "lenet.yaml", "--epochs=1")):
            if data.get("global_step", 0) >= 1 and first is None:
                first = seconds
        if first is not None:
            best = first if best is None else min(best, first)
        peers += start_peers()
    value, name = best_peer(peers, "first_batch_s", less=True)
    row("start", "lenet: submit to first step", "ms", best * 1e3 if best else None, value * 1e3 if value else None, name,
        goal="<= 250", less=True)


def bench_memory(daemon):
    """Peak memory of all processes together in the digits job."""
    peak, done = [0], threading.Event()

    def sample():
        while not done.wait(0.02):
            peak[0] = max(peak[0], daemon.pss_bytes())

    thread = threading.Thread(target=sample)
    thread.start()
    for _ in daemon.events("run", ROOT / "examples" / "digits.yaml", "--epochs=2"):
        pass
    done.set()
    thread.join()
    value, name = best_peer(start_peers(), "rss_mb", less=True)
    row("memory", "digits: all processes, PSS", "MB", peak[0] / 1e6, value, name and f"{name} (LeNet alone, RSS)", goal="<= 120",
        less=True)


def bench_lenet(daemon):
    """Images a second of LeNet, one trainer thread, input included; the peers train on a constant batch without input."""
    best, waited, peers = 0, None, []
    for _ in range(RUNS):
        for _, data in events_of("progress", daemon.events("run", ROOT / "bench" / "lenet.yaml")):
            if data.get("samples_per_second", 0) > best:
                best, waited = data["samples_per_second"], data.get("wait_share")
        peers += [(name, peer(venv, script, "lenet", 1, mode, 4)) for name, venv, script, mode in LENET_PEERS]
    value, name = best_peer(peers, "ips_best")
    row("lenet", "lenet, batch 64, one thread", "images/s", best, value, name, limit=50000, goal="> peers")
    row("lenet", "share of time that the fit loop waited", "ratio", waited, goal="-> 0", less=True)


def bench_wait(daemon):
    """Share of the time that the fit loop of the digits job waited for input, as the job tells at its end."""
    shares = [d["wait_share"] for _, d in events_of("progress", daemon.events("run", ROOT / "examples" / "digits.yaml", "--epochs=3"))
              if d.get("global_step", 0) > 100 and "wait_share" in d]
    row("wait", "digits: share of time that the fit loop waited", "ratio", sum(shares) / len(shares) if shares else None, goal="-> 0",
        less=True)


def bench_service(daemon):
    """Small arrays through the whole service, with a sink instead of a fit loop: daemon, one worker, the trainer's feeder."""
    with data.Data(daemon.build, data.make_small) as small:
        daemon.run("dataset", "put", "small", small.folder)
        job = small.folder.parent / "job.json"
        job.write_text(json.dumps({"name": "small", "data": {"train": {"dataset": "small"}}, "pipeline": ["shuffle", {"batch": 1024}]}))
        rates = [daemon.run("pipeline", "run", job, "--steps=10000", "--workers=1")["rows_per_second"] for _ in range(RUNS)]
        daemon.run("dataset", "remove", "small")
    row("service", "float32 (16,) and a label shuffled, batches of 1,024: pipeline run, one worker", "rows/s", max(rates), goal=">= 1,000,000")


def make_files(folder, n_files, n_bytes):
    """Files of random bytes, half to one and a half times the mean size, in 100 folders."""
    sizes = random.Random(7)
    for i in range(n_files):
        path = folder / "train" / f"{i % 100:02d}"
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{i:06d}.jpg").write_bytes(os.urandom(int(n_bytes / n_files * (0.5 + sizes.random()))))


def peer_upload(source, target):
    """Seconds of cp, b2sum and sync: what a person would do to have a checked copy on the disk."""
    os.sync()
    start = time.monotonic()
    subprocess.run(["cp", "-r", source, target], check=True)
    subprocess.run("find . -type f -print0 | xargs -0 b2sum", shell=True, cwd=target, check=True, stdout=subprocess.DEVNULL)
    os.sync()
    return time.monotonic() - start


def upload(daemon, name, n_files, n_bytes, runs):
    ours, peers, memory = [], [], 0
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as top:
        source = pathlib.Path(top) / "source"
        make_files(source, n_files, n_bytes)
        for i in range(runs):
            os.sync()
            start = time.monotonic()
            daemon.run("dataset", "put", f"{name}-{i}", source)
            ours.append(time.monotonic() - start)
            status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
            memory = max(memory, next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1e3)
            daemon.run("dataset", "remove", f"{name}-{i}")
            peers.append(peer_upload(source, pathlib.Path(top) / f"copy-{i}"))
            subprocess.run(["rm", "-r", pathlib.Path(top) / f"copy-{i}"], check=True)
    mib = n_bytes / 1048576
    row("upload", f"{n_files} files, {mib:.0f} MiB", "MiB/s", mib / min(ours), round(mib / min(peers), 1), "cp + b2sum + sync", goal=">= 0.7")
    row("upload", f"{n_files} files: resident memory of the daemon, most", "MB", memory, goal="< 40", less=True)


def bench_upload(daemon):
    """An eighth of the upload below, for a quick look."""
    upload(daemon, "quick", 6250, 268435456, RUNS)


def bench_upload_full(daemon):
    """2 GiB in 50,000 files through the control socket, checked and on the disk."""
    upload(daemon, "full", 50000, 2147483648, 2)


def resnet20():
    """The layers of e2e.py's ResNet-20 as a graph, all but the head; the name of the last one."""
    layers = []

    def add(kind, inputs, **options):
        name = f"l{len(layers)}"
        layers.append({kind: dict(options, name=name, **({"inputs": inputs} if inputs else {}))})
        return name

    def conv(inputs, filters, size, strides=1):
        made = add("Conv2D", inputs, filters=filters, kernel_size=size, strides=strides, padding="same", use_bias=False)
        return add("BatchNormalization", made)

    channels, last = 16, add("ReLU", conv(None, 16, 3))
    for filters, strides in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        way = conv(add("ReLU", conv(last, filters, 3, strides)), filters, 3)
        if filters != channels:
            last = conv(last, filters, 1, strides)
        last = add("ReLU", add("Add", [last, way]))
        channels = filters
    return layers, last


def small_cnn():
    return [{"Conv2D": dict(name=f"c{n}", filters=n, kernel_size=3, strides=2, padding="same", activation="relu")} for n in (16, 32, 64)], "c64"


# What e2e.py trains: its name there, our layers, and what is asked of the best peer.
OVERLAP_JOBS = (("small", small_cnn, ">= 1.25 (Keras)"), ("resnet20", resnet20, ">= 1.35 (PyTorch)"))
OVERLAP_SECONDS, OVERLAP_WARM_SECONDS = 8, 3


def overlap_job(name, model):
    layers, last = model()
    head = [{"GlobalAveragePooling2D": dict(name="pool", inputs=last)}, {"Dense": dict(name="top", inputs="pool", units=10, activation="softmax")}]
    return {
        "name": f"overlap-{name}",
        "data": {"train": {"dataset": "jpegs"}},
        "pipeline": [
            {"shuffle": {"buffer_size": 2000}}, {"repeat": {}},
            {"map": [{"RandomResizedCrop": {"size": 64}}, {"RandomFlip": {"mode": "horizontal"}},
                     {"Rescaling": {"scale": 1 / 127.5, "offset": -1}}]},
            {"batch": {"batch_size": 64, "drop_remainder": True}}, {"prefetch": "AUTOTUNE"}],
        "model": layers + head,
        "compile": {"optimizer": "adam", "loss": "SparseCategoricalCrossentropy"},
        "fit": {"epochs": 1000, "steps_per_epoch": 100, "seed": 7, "checkpoint": {"every_epochs": 0}},
    }


def overlap_run(daemon, job):
    """Images a second and the share of time that the fit loop waited, of the seconds behind the warm-up."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(job, file)
        file.flush()
        job_id, seen = None, []
        for seconds, event in daemon.events("run", file.name):
            data = event.get("data") or {}
            job_id = data.get("job") or job_id
            if event.get("kind") == "progress" and "global_step" in data:
                seen.append((seconds, data["global_step"] * 64, data.get("wait_share", 0)))
            if seen and seconds - seen[0][0] > OVERLAP_WARM_SECONDS + OVERLAP_SECONDS:
                daemon.run("cancel", job_id)
                break
    warm = [s for s in seen if s[0] - seen[0][0] >= OVERLAP_WARM_SECONDS]
    (begin, n0, _), (end, n1, _) = warm[0], warm[-1]
    return (n1 - n0) / (end - begin), sum(s[2] for s in warm) / len(warm)


def bench_overlap(daemon):
    """JPEG to trained batch on all cores: random crops of 64 x 64 into a small CNN and a ResNet-20, beside the peers' e2e.py."""
    daemon.run("dataset", "put", "jpegs", SHARED / "data" / "bench_jpegs")
    for name, model, goal in OVERLAP_JOBS:
        ours, peers = [], []
        for _ in range(RUNS):
            ours.append(overlap_run(daemon, overlap_job(name, model)))
            peers += [(p, peer(venv, "e2e.py", venv, OVERLAP_SECONDS, MODEL=name)) for p, venv in START_PEERS]
        best, waited = max(ours)
        for p, _ in START_PEERS:
            value, _ = best_peer([r for r in peers if r[0] == p], "ips")
            stalls = [r["stall"] for q, r in peers if r and q == p]
            row("overlap", f"{name}: JPEG, crop to 64, train", "images/s", best, value, p if value else None, goal=goal)
            if stalls:
                row("overlap", f"{name}: share of time that {p} waited for input", "ratio", None, min(stalls), p)
        row("overlap", f"{name}: share of time that the fit loop waited", "ratio", waited, goal="< 0.01 where the pipeline is faster", less=True)


BENCHES = {f.__name__[6:]: f for f in (bench_start, bench_memory, bench_lenet, bench_wait, bench_service, bench_overlap, bench_upload,
                                         bench_upload_full)}


def kernels(build):
    """The program that times each kernel, in the rows of the others: GFLOP/s, or microseconds where nothing is multiplied."""
    program = pathlib.Path(build) / "tests" / "kernel" / "kbench"
    if not program.exists():
        return
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            done = json.loads(line)
            if "unit" in done:
                row("kernels", f"{done['row']}, {done['backend']}", done["unit"], done["ours"])
                continue
            name = ", ".join(part for part in (done["row"], done["pass"], done["backend"], done["impl"]) if part)
            has_flops = done["gflops"] >= 10
            row("kernels", name, "GFLOP/s" if has_flops else "us", done["gflops" if has_flops else "us"], less=not has_flops)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=ROOT / "build-release")
    parser.add_argument("name", nargs="?", choices=[*BENCHES, *ALONE, "kernels"])
    arguments = parser.parse_args()
    if arguments.name in (None, "kernels"):
        kernels(arguments.build)
    for name in ALONE:
        if arguments.name in (None, name):
            ALONE[name](arguments.build, row)
    if arguments.name == "kernels" or arguments.name in ALONE:
        return
    daemon = Daemon(arguments.build)
    try:
        daemon.run("dataset", "put", "digits", ROOT / "examples" / "digits")
        for name in [arguments.name] if arguments.name else BENCHES:
            BENCHES[name](daemon)
    finally:
        daemon.close()


if __name__ == "__main__":
    sys.exit(main())
