#!/usr/bin/env python3
"""A file includes only headers of the folders below its own, and a library's header only in its one folder."""
import re

import lint

MAY_USE = {
    "base": set(),
    "proto": {"base"},
    "pipeline": {"base", "proto"},
    "workers": {"base", "proto", "pipeline"},
    "trainer": {"base", "proto", "pipeline"},
    "daemon": {"base", "proto"},
    "client": {"base", "proto"},
}
# start of the header's name: where it may be included
ONLY_IN = {
    "jansson.h": ("base/doc_json",),
    "Random123/": ("base/rng",),
    "xxhash.h": ("base/hash",),
    "zmq.h": ("proto/",),
    "msgpack": ("proto/",),
    "uv.h": ("daemon/",),
    "microhttpd.h": ("daemon/",),
    "sqlite3.h": ("daemon/",),
    "cblas.h": ("trainer/kernel/",),
    "openblas": ("trainer/kernel/",),
    "oneapi/": ("trainer/kernel/",),
    "dnnl": ("trainer/kernel/",),
    "omp.h": ("trainer/kernel/",),
    "jpeglib.h": ("pipeline/",),
    "turbojpeg.h": ("pipeline/",),
    "spng.h": ("pipeline/",),
    "webp/": ("pipeline/",),
    "zstd.h": ("pipeline/format/",),
    "expat.h": ("pipeline/format/",),
    "sndfile.h": ("pipeline/format/",),
    "hdf5": ("trainer/keras/", "pipeline/format/hdf5"),
    "libfyaml.h": ("client/",),
    "seccomp.h": ("workers/", "proto/sandbox"),
    "linux/landlock.h": ("workers/", "proto/sandbox"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)


def violations(tree):
    for path in tree.files("*.[ch]"):
        folder = path.parts[0]
        for name in INCLUDE.findall(tree.text(path)):
            target = name.split("/")[0]
            if "/" in name and target in MAY_USE and target != folder and target not in MAY_USE[folder]:
                yield f"{path}: {folder} may not use {target} ({name})"
            if name.startswith("../"):
                yield f"{path}: include from the root of the tree, not {name}"
            for start, places in ONLY_IN.items():
                if name.startswith(start) and not str(path).startswith(places):
                    yield f"{path}: <{name}> belongs in {' or '.join(places)}"


if __name__ == "__main__":
    lint.main("layers", violations)
