"""The client, its program, the daemon, a worker and the trainer are killed in turn at random moments: no element is asked
for again once it was stored, and the job ends in the weights of one that was left alone."""
import os
import random
import signal
import time

from live import FED, main, named, wait_until

N, EPOCHS, CREDIT = 320, 4, 24
COMMAND = f"{FED} elements={N} by_epoch=1"


class Victims:
    def __init__(self, live, command):
        self.live, self.command = live, command
        self.feeder = live.feed("k", command)
        self.kinds = [self.client, self.program, self.daemon, self.worker, self.trainer]

    def hunt(self, pid, word):
        found = wait_until(lambda: named(pid(), word) or self.is_over(), word)
        if found is not True:
            os.kill(found, signal.SIGKILL)

    def is_over(self):
        return self.live.state("k") == "finished"

    def client(self):
        self.feeder.kill()
        self.feeder = self.live.feed("k", self.command)
        self.wait_client()

    def wait_client(self):
        """A client that finds no daemon at its start ends, as it should: that is not what is tested."""
        wait_until(lambda: self.live.ask("dataset", "show", "k")["feed"]["client"], "the client")

    def program(self):
        self.hunt(lambda: self.feeder.process.pid, "fed.py")

    def daemon(self):
        self.live.kill_daemon()
        self.live.go_on()

    def worker(self):
        self.hunt(lambda: self.live.daemon.pid, "millrace-worker")

    def trainer(self):
        self.hunt(lambda: self.live.daemon.pid, "millrace-trainer")


def again(stored, asked):
    """Those that were asked for although they had been stored."""
    return [pair for pair in asked if pair in stored]


def hunt(live, rounds, seed):
    """Kills; what is stored after a kill must not be asked for from then on. Returns those that were."""
    draw, repeated = random.Random(seed), []
    victims = Victims(live, f"{COMMAND} slow=0.02 log={live.folder}/asked")
    wait_until(lambda: live.run("dataset", "show", "k", check=False).returncode == 0, "the feed")
    spool = live.spool("k")
    live.submit("k", "k", epochs=EPOCHS)
    marks, n_kills = [], 0
    for i in range(rounds * len(victims.kinds)):
        if victims.is_over():
            break
        time.sleep(draw.uniform(0.05, 0.5))  # the random moment
        victims.kinds[i % len(victims.kinds)]()
        n_kills += 1
        marks.append((live.maps(spool), len(live.asked())))
    outcome = live.finish("k")
    asked = live.asked()
    for stored, at in marks:
        repeated += again(stored, asked[at:])
    print(f"# {n_kills} kills, {len(asked)} asked for {N * EPOCHS} elements", flush=True)
    return outcome, repeated, n_kills


def test_killed(live):
    live.start(f"--feed-credit={CREDIT}")
    live.feed("alone", COMMAND)
    wait_until(lambda: live.run("dataset", "show", "alone", check=False).returncode == 0, "the feed")
    live.submit("alone", "alone", epochs=EPOCHS)
    want = live.finish("alone")
    outcome, repeated, n_kills = hunt(live, 4, 7)
    assert n_kills >= 8, n_kills
    assert not repeated, f"{len(repeated)} were asked for again, the first {repeated[0]}"
    assert outcome == want
    assert len(live.asked()) <= N * EPOCHS + n_kills * CREDIT


def test_count_sees_what_is_lost(live):
    """Negative control: maps that are lost with the daemon make elements be asked for twice, and the count sees it."""
    live.start(f"--feed-credit={CREDIT}")
    victims = Victims(live, f"{COMMAND} slow=0.005 log={live.folder}/asked")
    wait_until(lambda: live.run("dataset", "show", "k", check=False).returncode == 0, "the feed")
    live.submit("k", "k", epochs=1)
    wait_until(lambda: len(live.maps()) > 60, "sixty elements")
    live.kill_daemon()
    stored, at = live.maps(), len(live.asked())
    for part in ("map", "seen"):  # the copy that workers read too: it says all where all was stored by now
        for path in (live.folder / "state/blobs/feeds").glob(f"*/0.{part}"):
            path.unlink()
    for path in (live.folder / "state/jobs").glob("k-1/*.keras"):
        path.unlink()
    live.go_on()
    wait_until(lambda: again(stored, live.asked()[at:]), "an element that is asked for again")
    assert victims.feeder.process.poll() is None


if __name__ == "__main__":
    main(globals())
