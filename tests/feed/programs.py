"""Programs that do not keep to the protocol, elements that cannot be made, and clients that lie to the daemon."""
import pathlib
import subprocess

from live import BUILD, FED, HERE, main, named, wait_until

# What a program does wrong at its second question: (fault, words of the error, is it started again?)
FAULTS = [
    ("garbage", "print to its standard output", False),
    ("text", "no msgpack map", False),
    ("list", "no msgpack map", False),
    ("empty", "a length of 0 bytes", False),
    ("huge", "a length of 4294967280 bytes", False),
    ("deep", "no msgpack map", False),
    ("liar", "no msgpack map", False),
    ("much", "the program sent 4 bytes more than its answers have", False),
    ("more_n", "was asked for", False),
    ("less_n", "says n: 0", False),
    ("no_n", "neither n nor error", False),
    ("other", "not asked for", False),
    ("little", "ended with status 3; it was started again 3 times", True),
    ("dies", "ended with status 3; it was started again 3 times", True),
    ("killed", "killed by signal 9 (Killed); it was started again 3 times", True),
    ("nothing", "no answer in 1 s (--patience); it was started again 3 times", True),
]


def test_faults(live):
    live.start()
    for fault, words, again in FAULTS:
        options = f"elements=24 by_epoch=1 fault={fault} at={1 if again else 2} log={live.folder}/asked-{fault}"
        feeder = live.feed(fault, f"{FED} {options} batch=4", "--patience=1")
        wait_until(lambda: live.run("dataset", "show", fault, check=False).returncode == 0, fault)
        live.submit(fault, fault, epochs=3)
        status, said = feeder.end()
        assert status not in (0, 130) and words in said, f"{fault}: {status} {said}"
        opened = (live.folder / f"asked-{fault}").read_text().count("open")
        assert opened == (4 if again else 1), f"{fault}: started {opened} times"
        live.run("cancel", fault)


def test_faults_of_open(live):
    """What is wrong with the first answer is said with its place, before a daemon is asked."""
    live.start()
    program = live.folder / "open.py"
    for answer, words in [('{"fields": []}', "an element needs a field"),
                          ('{"fields": [{"name": "x", "kind": "picture"}]}', "fields[0].kind"),
                          ('{"fields": [{"name": "x", "shape": [-1]}]}', "fields[0].shape"),
                          ('{"elements": 4}', "fields"),
                          ('{"error": "no such folder"}', "the program says: no such folder"),
                          ('{"fields": [{"name": "x"}], "elments": 4}', "did you mean 'elements'")]:
        program.write_text("import sys\nsys.path.insert(0, %r)\nimport feed\n"
                           "class Opens:\n    def open(self):\n        return %s\n"
                           "feed.serve(Opens())\n" % (str(HERE.parents[1] / "examples/feed"), answer))
        status, said = live.feed("o", f"python3 {program}").end()
        assert status in (1, 2, 4) and words in said, f"{answer}: {status} {said}"
    status, said = live.feed("o", "no-such-program --x").end()
    assert status == 3 and "the shell cannot start the program (status 127): no-such-program --x" in said, said


def test_pushed_faults(live):
    live.start()
    for fault, words in [("more_n", "asked for 0 to"), ("garbage", "print to its standard output"),
                         ("dies", "it was started again 3 times")]:
        status, said = live.feed(fault, f"{FED} elements=5000 push=1 fault={fault}").end()
        assert status not in (0, 130) and words in said, f"{fault}: {status} {said}"


def test_bad_elements(live):
    """An element that cannot be made is left out, or fails the job with its reason; it is not asked for again."""
    live.start()
    command = f"{FED} elements=60 bad=7,31 log={live.folder}/asked"
    feeder = live.feed("bad", command)
    wait_until(lambda: live.run("dataset", "show", "bad", check=False).returncode == 0, "the feed")
    live.submit("fails", "bad")
    wait_until(lambda: live.state("fails") == "failed", "the failure")
    reason = live.ask("show", "fails")["reason"]
    assert "of epoch 1: this one cannot be made" in reason and "element" in reason, reason
    live.submit("skips", "bad", on_error="skip", epochs=1)
    live.finish("skips")
    assert feeder.end()[0] == 0 and sorted(live.maps().values()) == [1] * 58 + [2, 2]
    at = len(live.asked())
    live.submit("skips", "bad", on_error="skip")
    live.finish("skips")  # nobody is there to be asked
    job = live.ask("show", "skips")
    assert sorted(bad["sample"] for bad in job["quarantine"]) == [7, 31], job["quarantine"]
    assert "cannot be made" in job["quarantine"][0]["reason"]
    assert live.asked().count((0, 7)) == 1 and len(live.asked()) == at


def test_a_batch_that_raises(live):
    """An exception of __getitem__ spoils its batch, no more."""
    live.start()
    program = live.folder / "raises.py"
    program.write_text(f"""import sys
sys.path.insert(0, {str(HERE.parents[1] / 'examples/feed')!r})
import feed
class Raises:
    def __len__(self):
        return 5
    def __getitem__(self, i):
        if i == 2:
            raise OSError("a disk is gone")
        return [[[[float(k + i)]] * 8] * 8 for k in range(10)], list(range(10))
feed.serve(feed.Sequence(Raises()))
""")
    live.feed("r", f"python3 {program}")
    wait_until(lambda: live.run("dataset", "show", "r", check=False).returncode == 0, "the feed")
    live.submit("r", "r", on_error="skip", epochs=1, ops=["Flatten"] and [{"Rescaling": {"scale": 0.1}}])
    live.finish("r")
    bad = live.ask("show", "r")["quarantine"]
    assert sorted(b["sample"] for b in bad) == list(range(20, 30)), bad
    assert "OSError: a disk is gone" in bad[0]["reason"], bad[0]


def test_a_worker_that_is_silent_while_it_waits(live):
    """Negative control of chunk.wait: a worker that does not tell loses its lease to a slow client."""
    libexec = live.folder / "libexec"
    libexec.mkdir()
    (libexec / "millrace-worker").symlink_to(BUILD / "tests/feed/silent-worker")
    (libexec / "millrace-trainer").symlink_to(BUILD / "trainer/millrace-trainer")
    live.start(libexec=libexec)
    live.feed("w", f"{FED} elements=8 batch=4 slow=40 by_epoch=1")
    wait_until(lambda: live.run("dataset", "show", "w", check=False).returncode == 0, "the feed")
    live.submit("w", "w", epochs=1, batch=4, workers=1)
    wait_until(lambda: live.counter("workers_killed") > 0, "a lease that expires")


def test_hostile_clients(live):
    """A client that lies to the daemon is refused; the daemon and another feed go on."""
    live.start("--feed-credit=16", "--feed-credit-bytes=65536")
    live.feed("good", f"{FED} elements=40 by_epoch=1")
    wait_until(lambda: live.run("dataset", "show", "good", check=False).returncode == 0, "the feed")
    done = subprocess.run([BUILD / "tests/feed/hostile", live.folder / "run"], capture_output=True, text=True, timeout=120)
    print(done.stdout.strip(), flush=True)
    assert done.returncode == 0, done.stdout + done.stderr
    live.submit("good", "good", epochs=2)
    live.finish("good")
    assert live.daemon.poll() is None


if __name__ == "__main__":
    main(globals())
