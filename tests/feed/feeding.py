"""Feeding as it should go: what comes is what was made, each asked for once, jobs pause and go on."""
import json
import pathlib
import signal
import time

from live import FED, PATIENCE, main, named, wait_until

N = 200


def test_equal_to_uploaded(live):
    """The same data uploaded, fed by index, in batches, and pushed: equal batches and equal weights."""
    live.start("--feed-credit=50")
    files = live.folder / "files"
    files.mkdir()
    import subprocess
    subprocess.run(f"{FED} elements={N} files={files}", shell=True, check=True)
    live.run("dataset", "put", "uploaded", files)
    live.submit("uploaded", "uploaded")
    want = live.finish("uploaded")
    for name, how in {"single": "", "batches": "batch=48", "pushed": "push=1", "epochs": "by_epoch=0 batch=7"}.items():
        log = live.folder / f"asked-{name}"
        feeder = live.feed(name, f"{FED} elements={N} log={log} {how}")
        if name == "pushed":
            assert feeder.end()[0] == 0
        else:
            wait_until(lambda: live.run("dataset", "show", name, check=False).returncode == 0, "the feed")
        live.submit(name, name)
        assert live.finish(name) == want, name
        if name != "pushed":  # all is stored: the client has nothing more to do
            status, said = feeder.end()
            assert status == 0 and json.loads(said)["stored"] == N, said
        asked = live.asked(f"asked-{name}")
        assert sorted(asked) == [(0, i) for i in range(N)], f"{name}: {len(asked)} asked"
    # Another job, and nobody there to be asked.
    live.submit("again", "single", epochs=3)
    assert live.finish("again") == want


def test_batches_are_asked_whole(live):
    """A program that makes batches is asked for batches, each once, also where the job shuffles elements."""
    live.start()
    live.feed("b", f"{FED} elements=100 batch=32 by_epoch=1 log={live.folder}/asked")
    wait_until(lambda: live.run("dataset", "show", "b", check=False).returncode == 0, "the feed")
    live.submit("b", "b", epochs=2)
    live.finish("b")
    asked = live.asked()
    assert sorted(asked) == [(e, i) for e in range(2) for i in range(100)]
    for at in range(0, 200, 100):
        epoch = asked[at:at + 100]
        firsts = [i for _, i in epoch if i % 32 == 0]
        assert epoch == [(epoch[0][0], i) for first in firsts for i in range(first, min(first + 32, 100))], epoch


def test_epochs_end_in_order(live):
    """Questions of an epoch come before its end, and its end before the next one; a new program hears of all ends."""
    live.start()
    command = f"{FED} elements=64 by_epoch=1 slow=0.01 log={live.folder}/asked"
    feeder = live.feed("e", command)
    wait_until(lambda: live.run("dataset", "show", "e", check=False).returncode == 0, "the feed")
    live.submit("e", "e", epochs=4, batch=8)
    wait_until(lambda: len(live.asked()) > 150, "the third epoch")
    feeder.kill(signal.SIGINT)
    live.feed("e", command)
    live.finish("e")
    epoch = 0
    for line in (live.folder / "asked").read_text().splitlines():
        if line == "open":
            epoch = 0
        elif line.startswith("end"):
            assert int(line.split()[1]) == epoch, line
            epoch += 1
        elif line[0].isdigit():
            assert int(line.split()[0]) == epoch, f"{line} in epoch {epoch}"
    assert epoch == 3


def test_a_part_of_each_epoch(live):
    """A job that leaves some out goes on to the next epoch all the same."""
    live.start()
    live.feed("p", f"{FED} elements=100 by_epoch=1 log={live.folder}/asked")
    wait_until(lambda: live.run("dataset", "show", "p", check=False).returncode == 0, "the feed")
    live.submit("p", "p", epochs=3, pipeline=[{"take": {"count": 40}}], batch=10)
    live.finish("p")
    assert sorted(live.asked()) == [(e, i) for e in range(3) for i in range(40)]


def test_gone_pauses_back_resumes(live):
    """Without its client a job pauses with that reason; the client back, it goes on and ends as if nothing was."""
    live.start("--feed-gone-seconds=1", "--feed-credit=20")
    command = f"{FED} elements={N} by_epoch=1 log={live.folder}/asked slow=0.02"
    feeder = live.feed("g", command)
    wait_until(lambda: live.run("dataset", "show", "g", check=False).returncode == 0, "the feed")
    live.submit("g", "g", epochs=2)
    wait_until(lambda: len(live.asked()) > 60, "sixty elements")
    status, said = feeder.kill(signal.SIGINT)
    assert status == 130 and "pause until the same command is given again" in said, said
    assert (live.folder / "asked").read_text().endswith("close\n"), "the program was not told to close"
    wait_until(lambda: live.state("g") == "paused", "the pause")
    job = live.ask("show", "g")
    assert job["error"] == "feed" and "nobody feeds 'g'" in job["reason"], job["reason"]
    asked = len(live.asked())
    live.feed("g", command)
    disturbed = live.finish("g")
    assert len(live.asked()) > asked and live.counter("feed_pauses") == 1
    assert sorted(set(live.asked())) == [(e, i) for e in range(2) for i in range(N)]
    live.submit("alone", "g", epochs=2)
    assert live.finish("alone") == disturbed


def test_silent_pauses(live):
    """A client that does not answer is as good as gone, until it does."""
    live.start("--feed-seconds=1", "--feed-gone-seconds=1")
    live.feed("s", f"{FED} elements=8 batch=4 slow=5")
    wait_until(lambda: live.run("dataset", "show", "s", check=False).returncode == 0, "the feed")
    live.submit("s", "s", epochs=1, batch=4)
    wait_until(lambda: live.state("s") == "paused", "the pause")
    assert "does not answer" in live.ask("show", "s")["reason"]
    live.finish("s")


def test_no_client_at_all(live):
    """A job on a feed whose client has gone says so; a preview says so at once."""
    live.start("--feed-gone-seconds=1")
    feeder = live.feed("n", f"{FED} elements=40")
    wait_until(lambda: live.run("dataset", "show", "n", check=False).returncode == 0, "the feed")
    feeder.kill()
    live.submit("n", "n", epochs=1)
    wait_until(lambda: live.state("n") == "paused", "the pause")
    done = live.run("preview", live.folder / "n.json", "-n", "4", "-o", live.folder / "sheet.png", check=False)
    assert done.returncode != 0 and "nobody feeds 'n'" in done.stderr, done.stderr
    live.feed("n", f"{FED} elements=40")
    live.run("preview", live.folder / "n.json", "-n", "4", "-o", live.folder / "sheet.png")
    live.finish("n")


def test_filter_waits_for_its_index(live):
    """A stage that looks at all elements asks for all of them."""
    live.start()
    live.feed("f", f"{FED} elements=300 log={live.folder}/asked")
    wait_until(lambda: live.run("dataset", "show", "f", check=False).returncode == 0, "the feed")
    live.submit("f", "f", pipeline=[{"filter": {"predicate": "y < 5"}}])
    live.finish("f")
    assert sorted(live.asked()) == [(0, i) for i in range(300)]
    assert live.ask("show", "f")["plan"]["streams"]["train"]["samples"] == 150


def test_slow_client_keeps_its_workers(live):
    """Waiting is not hanging: no lease expires, however slow the client is."""
    live.start()
    live.feed("w", f"{FED} elements=8 batch=4 slow=6")
    wait_until(lambda: live.run("dataset", "show", "w", check=False).returncode == 0, "the feed")
    live.submit("w", "w", epochs=1, batch=4)
    live.finish("w")
    assert live.counter("workers_killed") == 0


def test_two_clients(live):
    """The newest client feeds; the other one is told and ends."""
    live.start()
    first = live.feed("t", f"{FED} elements=40 by_epoch=1")
    wait_until(lambda: live.run("dataset", "show", "t", check=False).returncode == 0, "the feed")
    live.feed("t", f"{FED} elements=40 by_epoch=1")
    status, said = first.end()
    assert status == 1 and "another client feeds 't' now" in said, said


def test_names_and_specs(live):
    """What was fed keeps its fields; a name is fed or uploaded, not both; removed, all of it goes."""
    live.start()
    live.feed("x", f"{FED} elements=40")
    wait_until(lambda: live.run("dataset", "show", "x", check=False).returncode == 0, "the feed")
    status, said = live.feed("x", f"{FED} elements=41").end()
    assert status == 1 and "fed with other fields, elements or batches" in said, said
    files = pathlib.Path(__file__).resolve().parents[2] / "examples/digits"
    done = live.run("dataset", "put", "x", files, check=False)
    assert done.returncode == 1 and "is fed by a client" in done.stderr, done.stderr
    for command in (("get", "x", live.folder / "out"), ("pack", "x")):
        done = live.run("dataset", *command, check=False)
        assert done.returncode == 2 and "has no files" in done.stderr, done.stderr
    said = live.run("dataset", "show", "x").stdout
    assert "elements   40" in said and "client     feeds it" in said, said
    live.run("dataset", "put", "files", files)
    status, said = live.feed("files", f"{FED} elements=41").end()
    assert status == 1 and "is a data set of files" in said, said
    live.run("dataset", "remove", "x")
    wait_until(lambda: not list((live.folder / "state/blobs/feeds").iterdir()), "the spool to go")
    status, said = live.feed("x", f"{FED} elements=12 push=1").end()
    assert status == 0, said


def test_push_goes_on(live):
    """Pushing, killed and given again, goes on behind what is stored."""
    live.start("--feed-credit=32")
    command = f"{FED} elements=2000 push=1 slow=0.005 log={live.folder}/asked"
    for _ in range(3):
        feeder = live.feed("p", command)
        stored = len(live.maps())
        wait_until(lambda: len(live.maps()) > stored + 200, "more")
        feeder.kill()
    before, at = live.maps(), len(live.asked())
    assert live.feed("p", command).end()[0] == 0
    again = [pair for pair in live.asked()[at:] if pair in before]
    assert not again, f"{len(again)} were asked for again, the first {again[0]}"
    assert len(live.maps()) == 2000
    live.submit("p", "p", epochs=1)
    live.finish("p")


def test_quota(live):
    """What is fed counts against the user's quota."""
    live.start("--quota-bytes=6000")
    status, said = live.feed("q", f"{FED} elements=2000 push=1").end()
    assert status == 1 and "quota_bytes" in said, said


def test_ctrl_c(live):
    """Ctrl-C tells the program to close and leaves none behind, one that does not listen either."""
    live.start()
    for slow in (0, 3600):
        feeder = live.feed(f"c{slow}", f"{FED} elements=40 slow={slow}")
        wait_until(lambda: live.run("dataset", "show", f"c{slow}", check=False).returncode == 0, "the feed")
        live.submit(f"c{slow}", f"c{slow}", epochs=1)
        program = wait_until(lambda: named(feeder.process.pid, "fed.py"), "the program")
        begin = time.monotonic()
        feeder.process.send_signal(signal.SIGINT)
        status, said = feeder.end()
        assert (status == 130) == (slow > 0) or status in (0, 130), said
        assert time.monotonic() - begin < PATIENCE / 2
        wait_until(lambda: not pathlib.Path(f"/proc/{program}").exists(), "the program's end")


if __name__ == "__main__":
    main(globals())
