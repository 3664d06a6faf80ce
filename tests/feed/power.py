"""Law 5 of a spool: the power goes at random moments, and what the map says is there, is there, whole."""
import random
import signal
import time

import fed
from live import BUILD, FED, main, wait_until

N, CUTS, EDGE = 3000, 6, 32
OPTIONS = {"edge": EDGE}


def lost(live, cuts, seed):
    """Elements of which the map says more than the rows have, after all cuts; and how many are stored."""
    draw, wrong = random.Random(seed), set()
    live.preload = str(BUILD / "tests/feed/libfeed-power-cut.so")
    live.start("--feed-credit=64")
    feeder = live.feed("p", f"{FED} elements={N} push=1 edge={EDGE} slow=0.002")
    for _ in range(cuts):
        stored = len(live.maps())
        wait_until(lambda: len(live.maps()) > stored + 20 or feeder.process.poll() is not None, "more elements")
        time.sleep(draw.uniform(0, 0.1))  # the random moment
        live.daemon.send_signal(signal.SIGUSR2)
        live.daemon.wait(60)
        for path in (live.folder / "state/blobs/feeds").glob("*/0.map"):
            rows, size = path.with_suffix(".rows").read_bytes(), len(fed.row(OPTIONS, 0, 0))
            wrong |= {i for i, byte in enumerate(path.read_bytes())
                      if byte and rows[i * size:(i + 1) * size] != fed.row(OPTIONS, 0, i)}
        live.go_on()
    return wrong, len(live.maps())


def test_what_the_map_says_is_there(live):
    wrong, stored = lost(live, CUTS, 5)
    assert not wrong and stored > CUTS * 20, f"{len(wrong)} of {stored} are not what was acknowledged"


def test_a_disk_that_lies(live):
    """Negative control: with a sync that does nothing rows are lost, and the test sees it."""
    live.env["MILLRACED_LYING_DISK"] = "1"
    wrong, _ = lost(live, 1, 5)
    assert wrong, "nothing was lost"


if __name__ == "__main__":
    main(globals())
