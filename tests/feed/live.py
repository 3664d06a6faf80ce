"""What the tests of feeding share: a real millraced in a folder of its own, clients that feed it, jobs, and a count.

A test is a function whose name begins with test_, taking a Live; main() runs those of a file and ends with
"N passed, N failed".
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TEST_BUILD_ROOT", ROOT / "build-debug"))
HERE = pathlib.Path(__file__).resolve().parent
FED = f"{sys.executable} {HERE / 'fed.py'}"
PATIENCE = 60 * float(os.environ.get("CK_TIMEOUT_MULTIPLIER", "1"))


def wait_until(ready, what, seconds=PATIENCE):
    """Asks until it says yes; its answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ready()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def rss(pid, field="VmHWM"):
    """Bytes of memory, the most so far."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {field} of {pid}")


def children(pid):
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def named(pid, word):
    """The first process below pid whose command line holds the word."""
    for child in children(pid):
        try:
            line = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if word in line and not line.startswith("sh -c"):
            return child
        below = named(child, word)
        if below:
            return below
    return None


class Feeder:
    """A `millrace feed` that runs."""

    def __init__(self, live, name, command, *options):
        self.errors = open(live.folder / f"feed-{name}-{random.random()}.log", "w+b")
        self.process = subprocess.Popen([BUILD / "client/millrace", "feed", name, "--exec", command, "--json", *options],
                                        env=live.env, stdout=subprocess.PIPE, stderr=self.errors)

    def end(self, seconds=PATIENCE):
        """Waits for its end: (status, what it printed)."""
        out = self.process.communicate(timeout=seconds)[0]
        self.errors.seek(0)
        return self.process.returncode, out.decode() + self.errors.read().decode()

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.end()


class Live:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="feed-"))
        self.env = dict(os.environ, MILLRACE_SOCKET=str(self.folder / "run"), LC_ALL="C.UTF-8")
        self.daemon, self.feeders, self.settings, self.preload = None, [], [], None

    def start(self, *settings, libexec=None):
        self.settings = [f"--libexec-dir={libexec}"] if libexec else []
        self.settings += settings
        self.go_on()

    def go_on(self):
        log = open(self.folder / "daemon.log", "ab")
        env = dict(self.env, LD_PRELOAD=self.preload) if self.preload else self.env
        self.daemon = subprocess.Popen([BUILD / "daemon/millraced", f"--state-dir={self.folder / 'state'}",
                                        f"--run-dir={self.folder / 'run'}", *self.settings], env=env, stdout=log, stderr=log)
        wait_until(lambda: self.run("status", check=False).returncode == 0, "the daemon")

    def kill_daemon(self, number=signal.SIGKILL):
        self.daemon.send_signal(number)
        self.daemon.wait(PATIENCE)

    def close(self):
        for feeder in self.feeders:
            if feeder.process.poll() is None:
                feeder.process.kill()
            feeder.process.communicate()
            feeder.errors.close()
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *args, check=True):
        done = subprocess.run([BUILD / "client/millrace", *map(str, args)], env=self.env, capture_output=True, text=True,
                              timeout=2 * PATIENCE)
        assert not check or done.returncode == 0, f"millrace {args}: {done.stdout}{done.stderr}"
        return done

    def ask(self, *args):
        return json.loads(self.run(*args, "--json").stdout)

    def counter(self, name):
        return self.ask("status")["counters"][name]

    def feed(self, name, command, *options):
        self.feeders.append(Feeder(self, name, command, *options))
        return self.feeders[-1]

    def submit(self, name, dataset, **changes):
        """A small job; changes: epochs, batch, ops, pipeline, on_error, workers."""
        ops = changes.get("ops", [{"Rescaling": {"scale": 0.0039}}, {"RandomRotation": {"factor": 0.1}}])
        job = {"name": name, "data": {"train": {"dataset": dataset}},
               "pipeline": changes.get("pipeline", [{"shuffle": {}}]) + [{"map": ops},
                                                                         {"batch": {"batch_size": changes.get("batch", 16)}}],
               "model": ["Flatten", {"Dense": {"units": 10, "activation": "softmax"}}],
               "compile": {"optimizer": "Adam", "loss": "SparseCategoricalCrossentropy"},
               "fit": {"epochs": changes.get("epochs", 3), "seed": 5, "checkpoint": {"every_steps": 5}},
               "resources": {"workers": changes.get("workers", 2), "threads": 1}}
        if "on_error" in changes:
            job["data"]["on_error"] = changes["on_error"]
            job["data"]["max_bad"] = 0.9
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(job))
        return self.run("submit", path, check=changes.get("check", True))

    def state(self, name):
        return self.ask("show", name)["state"]

    def finish(self, name, seconds=PATIENCE):
        """Waits for the end: (hash of all batches, of all weights)."""
        over = ("finished", "failed", "cancelled")
        wait_until(lambda: self.state(name) in over, f"the end of {name}", seconds)
        job = self.ask("show", name)
        assert job["state"] == "finished", job.get("reason")
        return job["result"]["chain"], job["checkpoints"][-1]["tensors"]

    def spool(self, name):
        """The folder of a feed that is a data set."""
        manifest = self.folder / "state/datasets" / f"{self.ask('dataset', 'show', name)['id']}.json"
        return self.folder / "state/blobs/feeds" / json.loads(manifest.read_text())["feed"]["id"]

    def maps(self, spool=None):
        """{(epoch, index): 1 have, 2 bad} of what is on the disk."""
        found = {}
        for path in spool.glob("*.map") if spool else (self.folder / "state/blobs/feeds").glob("*/*.map"):
            found.update({(int(path.stem), i): byte for i, byte in enumerate(path.read_bytes()) if byte})
        return found

    def asked(self, log="asked"):
        """[(epoch, index)] in the order in which programs were asked."""
        path = self.folder / log
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(map(int, line.split())) for line in lines if line[0].isdigit()]


def main(scope):
    passed = failed = 0
    wanted = sys.argv[1:]
    for name, test in sorted(scope.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        live = Live()
        begin = time.monotonic()
        try:
            test(live)
            passed += 1
            print(f"ok {name} {time.monotonic() - begin:.1f} s", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"FAILED {name}", flush=True)
            log = live.folder / "daemon.log"
            print(log.read_text()[-3000:] if log.exists() else "", flush=True)
            for feeder in live.feeders:
                running = feeder.process.poll() is None
                print(f"# client {feeder.process.args[2]}: {'runs' if running else feeder.end()}", flush=True)
        live.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
