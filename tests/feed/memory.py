"""Neither side fills the other's memory: a slow trainer, a slow client, a slow disk behind a fast push."""
from live import FED, main, rss, wait_until

MIB = 1 << 20
EDGE, ROW = 512, 512 * 512 + 8
GROWTH = 24 * MIB  # of a process, while 75 MiB go through it


def feed_and_look(live, name, how, credit, consume):
    """Feeds 300 elements of 256 KiB; how much client and daemon grew, and the most that was under way."""
    live.start(f"--feed-credit-bytes={credit}")
    daemon = rss(live.daemon.pid)
    feeder = live.feed(name, f"{FED} elements=300 edge={EDGE} log={live.folder}/asked {how}")
    wait_until(lambda: (live.folder / "asked").exists(), "the program")
    grown = {"client": 0, "owed": 0}
    client = rss(feeder.process.pid)

    def look():
        asked = len(live.asked())
        grown["owed"] = max(grown["owed"], asked - len(live.maps()))
        if feeder.process.poll() is not None:
            return True
        try:
            grown["client"] = rss(feeder.process.pid) - client
        except (AssertionError, OSError):
            return True
        return False

    if consume:
        wait_until(lambda: live.run("dataset", "show", name, check=False).returncode == 0, "the feed")
        live.submit(name, name, **consume)
    wait_until(look, f"the end of {name}", 300)
    assert feeder.end()[0] == 0
    grown["daemon"] = rss(live.daemon.pid) - daemon
    grown["flight"] = live.counter("feed_flight_max")
    print(f"# {name}, credit {credit / MIB:.0f} MiB: " + ", ".join(
        f"{key} {value if key == 'owed' else f'{value / MIB:.1f} MiB'}" for key, value in grown.items()), flush=True)
    return grown


def check(grown, credit):
    assert grown["client"] < GROWTH and grown["daemon"] < GROWTH, grown
    assert grown["flight"] <= credit + ROW, grown
    assert grown["owed"] <= max(credit // ROW, 1) + 1, grown


def test_slow_trainer(live):
    consume = {"epochs": 1, "batch": 4, "ops": [{"Sleep": {"microseconds": 10000}}, {"Rescaling": {"scale": 0.004}}]}
    check(feed_and_look(live, "trainer", "", MIB, consume), MIB)


def test_slow_client(live):
    consume = {"epochs": 1, "batch": 4, "ops": [{"Rescaling": {"scale": 0.004}}]}
    check(feed_and_look(live, "client", "slow=0.01", MIB, consume), MIB)


def test_fast_push(live):
    check(feed_and_look(live, "push", "push=1", MIB, None), MIB)


def test_an_element_above_the_credit(live):
    check(feed_and_look(live, "large", "push=1", 1000, None), ROW)


def test_credit_is_what_bounds(live):
    """Negative control: with a credit of 64 MiB the same push holds more than the bound of the others."""
    grown = feed_and_look(live, "wide", "push=1", 64 * MIB, None)
    assert grown["flight"] > MIB + ROW, grown


if __name__ == "__main__":
    main(globals())
