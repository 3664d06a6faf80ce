#!/usr/bin/env python3
"""Makes cases.json: what tf.data gives for each case below. Needs tensorflow; the version used stands in the file.

    python3 tests/stages/make_cases.py > tests/stages/cases.json

A case is (name, sets, pipeline): sets maps a data set's name to (samples, height, width) of the test's own pictures
(byte k of picture i is (7 i + k) mod 256, label i mod 10), pipeline is the list of a job file. OPS and STAGES say the same in
tf.data's words.
"""
import json
import os
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

SETS = {"d": (23, 1, 2), "e": (12, 1, 2), "f": (10, 1, 2), "tall": (11, 3, 1), "tall7": (7, 5, 1),
        "s2": (6, 2, 1), "s8": (4, 8, 1), "wide": (5, 2, 3)}


def dataset(name):
    n, height, width = SETS[name]
    x = np.arange(n)[:, None] * 7 + np.arange(height * width)[None]
    x = (x & 255).astype(np.uint8).reshape(n, height, width, 1)
    return tf.data.Dataset.from_tensor_slices({"x": x, "y": (np.arange(n) % 10).astype(np.int64)})


def nested(spec):
    return run(dataset(spec["dataset"]), spec.get("pipeline") or [])


def options(value, shorthand=None):
    if isinstance(value, dict):
        return value
    return {} if value is None else {shorthand: value}


def rescale(element, scale, offset):
    return {**element, "x": tf.cast(element["x"], tf.float32) * scale + offset}


def do_map(ds, value):
    ops = value.get("ops", value) if isinstance(value, dict) else value
    for op in ops if isinstance(ops, list) else [ops]:
        ((name, given),) = op.items()
        assert name == "Rescaling"
        ds = ds.map(lambda e, g=given: rescale(e, g["scale"], g.get("offset", 0.0)))
    return ds


def do_window(ds, value):
    o = options(value, "size")
    size = o["size"]
    windows = ds.window(size, o.get("shift"), o.get("stride", 1), o.get("drop_remainder", False))
    return windows.flat_map(lambda w: tf.data.Dataset.zip({k: w[k].batch(size) for k in w}))


def do_zip(ds, value):
    others = [nested(spec) for spec in (value["datasets"] if isinstance(value, dict) else value)]

    def join(first, *rest):
        out = dict(first)
        for i, part in enumerate(rest, 1):
            for key, v in part.items():
                out[f"{key}_{i}" if key in out else key] = v
        return out

    return tf.data.Dataset.zip((ds, *others)).map(join)


def do_concatenate(ds, value):
    for spec in value["datasets"] if isinstance(value, dict) else value:
        ds = ds.concatenate(nested(spec))
    return ds


def do_enumerate(ds, value):
    o = options(value, "start")
    return ds.enumerate(o.get("start", 0)).map(lambda i, e: {**e, o.get("name", "index"): i})


def do_sample(ds, o):
    return tf.data.Dataset.sample_from_datasets(
        [ds, *map(nested, o["datasets"])], o.get("weights"), 1, o.get("stop_on_empty_dataset", False))


def do_choose(ds, o):
    choices = tf.data.Dataset.from_tensor_slices(np.array(o["choices"], np.int64))
    choices = choices.repeat() if o.get("repeat", True) else choices
    return tf.data.Dataset.choose_from_datasets(
        [ds, *map(nested, o["datasets"])], choices, o.get("stop_on_empty_dataset", True))


PREDICATES = {  # a formula of millrace in tf's words
    "y < 5": lambda e: e["y"] < 5,
    "y % 3 == 1 || y > 7": lambda e: (e["y"] % 3 == 1) | (e["y"] > 7),
    "reduce_mean(x) > 40": lambda e: tf.reduce_mean(tf.cast(e["x"], tf.float32)) > 40,
    "reduce_max(x) <= 50": lambda e: tf.reduce_max(e["x"]) <= 50,
    "y": lambda e: e["y"],
}


def predicate(value, name):
    return PREDICATES[value[name] if isinstance(value, dict) else value]


def do_unique(ds, value):
    (field,) = [value] if isinstance(value, str) else value["fields"]
    kept = list(ds.map(lambda e: e[field]).unique().as_numpy_iterator())
    first = []
    for element in ds.as_numpy_iterator():
        if element[field] not in [e[field] for e in first]:
            first.append(element)
    assert [e[field] for e in first] == kept
    return tf.data.Dataset.from_tensor_slices({k: np.stack([e[k] for e in first]) for k in first[0]})


def do_resample(ds, o):
    done = ds.rejection_resample(lambda e: tf.cast(e["y"], tf.int32), o["target_dist"], o.get("initial_dist"), seed=1)
    return done.map(lambda c, e: e)


def do_snapshot(ds, value):
    """tf.data has one variant; several of elements that are not drawn are the same."""
    return ds.snapshot(tempfile.mkdtemp(), shard_func=lambda *_: np.int64(0))


def batched(ds, value):
    o = options(value, "batch_size")
    return ds.batch(o.get("batch_size", 32), o.get("drop_remainder", False))


def measured(ds, o):
    """Adds x_length and x_mask to the fields whose size is unknown."""
    open_axes = {k: [a for a, n in enumerate(spec.shape) if n is None] for k, spec in ds.element_spec.items()}

    def add(element):
        out = dict(element)
        for k, axes in open_axes.items():
            sizes = [tf.shape(element[k], tf.int64)[a] for a in axes]
            if axes and o.get("lengths"):
                out[f"{k}_length"] = tf.stack(sizes) if len(axes) > 1 else sizes[0]
            if axes and o.get("masks"):
                mask = tf.ones(sizes, tf.uint8)
                mask.set_shape([None] * len(axes))
                out[f"{k}_mask"] = mask
        return out

    return ds.map(add)


def padding(ds, o):
    types = ds.element_spec
    given = o.get("padding_values", 0)
    shapes = {k: [None if d == -1 else d for d in o.get("padded_shapes", {}).get(k, [None] * len(types[k].shape))]
              for k in types}
    values = {k: tf.cast(given.get(k, 0) if isinstance(given, dict) else given, types[k].dtype) for k in types}
    return shapes, values


FUNCTIONS = {  # a formula of millrace in tf's words
    "y % 3": lambda e: e["y"] % 3,
    "y // 4": lambda e: e["y"] // 4,
    "3 - y % 4": lambda e: 3 - e["y"] % 4,
    "shape(x, 0)": lambda e: tf.shape(e["x"], tf.int64)[0],
    "key == 0 ? 5 : 2": lambda key: tf.where(key == 0, tf.constant(5, tf.int64), tf.constant(2, tf.int64)),
    "key + 1": lambda key: key + 1,
}


def do_group(ds, o):
    def reduce(key, window):
        stages = o.get("reduce_func")
        if stages is None:
            return window.batch(1000)
        return run(window, stages if isinstance(stages, list) else [stages])

    size = o.get("window_size_func")
    return ds.group_by_window(FUNCTIONS[o["key_func"]], reduce, o.get("window_size"), FUNCTIONS[size] if size else None)


def do_bucket(ds, o):
    ds = measured(ds, o)
    shapes, values = padding(ds, o)
    length = FUNCTIONS[o["element_length_func"]]
    kept = ds.element_spec
    if o.get("padded_shapes") is None:
        shapes = {k: list(kept[k].shape) for k in kept}
    return ds.bucket_by_sequence_length(
        lambda e: tf.cast(length(e), tf.int32), o["bucket_boundaries"], o["bucket_batch_sizes"], shapes, values,
        o.get("pad_to_bucket_boundary", False), o.get("no_padding", False), o.get("drop_remainder", False))


def do_ragged(ds, value):
    o = options(value, "batch_size")
    spec = ds.element_spec
    made = ds.ragged_batch(o["batch_size"], o.get("drop_remainder", False))

    def dense(batch):
        out = {}
        for k in spec:
            ragged = isinstance(batch[k], tf.RaggedTensor)
            out[k] = batch[k].to_tensor() if ragged else batch[k]
        for k in spec:
            axes = [a for a, n in enumerate(spec[k].shape) if n is None]
            if axes:
                rows = [batch[k].row_lengths()]
                if len(axes) > 1:
                    rows.append(tf.map_fn(lambda r: r.row_lengths()[0], batch[k], fn_output_signature=tf.int64))
                out[f"{k}_length"] = rows[0] if len(axes) == 1 else tf.stack(rows, 1)
                assert axes == list(range(len(axes)))
            if axes and o.get("masks"):
                assert len(axes) == 1
                out[f"{k}_mask"] = tf.cast(tf.sequence_mask(batch[k].row_lengths()), tf.uint8)
        return out

    return made.map(dense)


def padded(ds, value):
    o = options(value, "batch_size")
    ds = measured(ds, o)
    shapes, values = padding(ds, o)
    return ds.padded_batch(o["batch_size"], shapes, values, o.get("drop_remainder", False))


STAGES = {
    "shuffle": lambda ds, v: ds.shuffle(1000, seed=1),
    "map": do_map,
    "batch": batched,
    "padded_batch": padded,
    "repeat": lambda ds, v: ds.repeat(options(v, "count").get("count", None)),
    "take": lambda ds, v: ds.take(options(v, "count")["count"]),
    "skip": lambda ds, v: ds.skip(options(v, "count")["count"]),
    "shard": lambda ds, v: ds.shard(v["num_shards"], v["index"]),
    "prefetch": lambda ds, v: ds.prefetch(2),
    "cache": lambda ds, v: ds.cache(),
    "snapshot": do_snapshot,
    "window": do_window,
    "unbatch": lambda ds, v: ds.unbatch(),
    "rebatch": lambda ds, v: ds.rebatch(options(v, "batch_size")["batch_size"], options(v).get("drop_remainder", False)
                                        if isinstance(v, dict) else False),
    "flat_map": lambda ds, v: ds.flat_map(tf.data.Dataset.from_tensor_slices),
    "interleave": lambda ds, v: ds.interleave(tf.data.Dataset.from_tensor_slices, cycle_length=v.get("cycle_length", 2),
                                              block_length=v.get("block_length", 1)),
    "enumerate": do_enumerate,
    "zip": do_zip,
    "concatenate": do_concatenate,
    "ignore_errors": lambda ds, v: ds.ignore_errors(),
    "assert_cardinality": lambda ds, v: ds.apply(tf.data.experimental.assert_cardinality(v)),
    "filter": lambda ds, v: ds.filter(predicate(v, "predicate")),
    "take_while": lambda ds, v: ds.take_while(predicate(v, "predicate")),
    "unique": do_unique,
    "rejection_resample": do_resample,
    "sample_from_datasets": do_sample,
    "choose_from_datasets": do_choose,
    "group_by_window": do_group,
    "bucket_by_sequence_length": do_bucket,
    "ragged_batch": do_ragged,
}

# Elements of the lengths 3, 5, 2 and 8, mixed.
MIXED = {"choose_from_datasets": {"datasets": [{"dataset": "tall7"}, {"dataset": "s2"}, {"dataset": "s8"}],
                                  "choices": [0, 2, 1, 3, 0, 1, 1, 2, 0, 3, 0], "stop_on_empty_dataset": False}}
BUCKETS = {"element_length_func": "shape(x, 0)", "bucket_boundaries": [3, 6], "bucket_batch_sizes": [2, 5, 3]}


# (name, data set, pipeline[, "set"]): "set" compares without order, where the order is drawn.
CASES = [
    ("nothing", "d", []),
    ("shuffle", "d", [{"shuffle": {}}], "set"),
    ("shuffle twice", "d", [{"shuffle": {}}, {"take": 23}, {"shuffle": {}}], "set"),
    ("shuffle fixed", "d", [{"shuffle": {"buffer_size": 4, "seed": 3, "reshuffle_each_iteration": False}}], "set"),
    ("shuffle repeated", "e", [{"shuffle": {}}, {"repeat": 2}], "set"),
    ("map", "d", [{"map": [{"Rescaling": {"scale": 0.5, "offset": 1.0}}]}]),
    ("batch", "d", [{"batch": 5}]),
    ("batch drop", "d", [{"batch": {"batch_size": 5, "drop_remainder": True}}]),
    ("batch of batches", "d", [{"batch": 4}, {"batch": {"batch_size": 2, "drop_remainder": True}}, {"take": 2}]),
    ("batches skipped", "d", [{"batch": 4}, {"skip": 2}, {"unbatch": None}]),
    ("padded", "d", [{"padded_batch": {"batch_size": 5, "padded_shapes": {"x": [2, 4, 1]}}}]),
    ("padded values", "d", [{"map": [{"Rescaling": {"scale": 0.5}}]},
                            {"padded_batch": {"batch_size": 6, "padded_shapes": {"x": [3, 3, 2]},
                                              "padding_values": {"x": -1.5, "y": 9}, "drop_remainder": True}}]),
    ("padded to the longest", "tall", [{"concatenate": [{"dataset": "tall7"}]},
                                       {"padded_batch": {"batch_size": 18, "padding_values": 7}}]),
    ("padded batches differ", "tall", [MIXED, {"padded_batch": {"batch_size": 4, "padding_values": {"x": 9}}}]),
    ("padded batches in part", "tall", [MIXED, {"padded_batch": {"batch_size": 4, "padded_shapes": {"x": [9, -1, 2]},
                                                                 "drop_remainder": True}}]),
    ("padded and measured", "tall", [MIXED, {"padded_batch": {"batch_size": 6, "lengths": True, "masks": True}},
                                     {"skip": 1}]),
    ("padded and cut", "tall", [MIXED, {"padded_batch": {"batch_size": 3}}, {"unbatch": None}]),
    ("padded two ways", "wide", [{"concatenate": [{"dataset": "tall"}]},
                                 {"padded_batch": {"batch_size": 4, "lengths": True, "masks": True}}]),
    ("ragged", "tall", [MIXED, {"ragged_batch": 5}]),
    ("ragged drop", "tall", [MIXED, {"ragged_batch": {"batch_size": 5, "drop_remainder": True, "masks": True}}]),
    ("ragged two ways", "wide", [{"concatenate": [{"dataset": "tall"}]}, {"ragged_batch": 7}]),
    ("ragged even", "d", [{"ragged_batch": {"batch_size": 5}}]),
    ("ragged skipped", "tall", [MIXED, {"ragged_batch": 2}, {"skip": 3}, {"shard": {"num_shards": 2, "index": 1}}]),
    ("group", "d", [{"group_by_window": {"key_func": "y % 3", "window_size": 4}}]),
    ("group never full", "d", [{"group_by_window": {"key_func": "3 - y % 4", "window_size": 100}}]),
    ("group elements", "d", [{"group_by_window": {"key_func": "3 - y % 4", "window_size": 3, "reduce_func": []}}]),
    ("group reduce", "d", [{"skip": 1}, {"group_by_window": {
        "key_func": "y // 4", "window_size": 7,
        "reduce_func": [{"skip": 1}, {"repeat": 2}, {"take": 9}, {"batch": {"batch_size": 4}}]}}]),
    ("group reduce drop", "d", [{"group_by_window": {
        "key_func": "y % 3", "window_size": 4, "reduce_func": {"batch": {"batch_size": 3, "drop_remainder": True}}}}]),
    ("group sizes", "d", [{"group_by_window": {"key_func": "y % 3", "window_size_func": "key + 1"}}, {"take": 8}]),
    ("group sizes twice", "e", [{"group_by_window": {"key_func": "y // 4", "window_size_func": "key == 0 ? 5 : 2"}},
                                {"repeat": 2}]),
    ("group padded", "tall", [MIXED, {"group_by_window": {
        "key_func": "y % 3", "window_size": 5,
        "reduce_func": [{"padded_batch": {"batch_size": 5, "padding_values": 3, "lengths": True}}]}}]),
    ("group ragged", "tall", [MIXED, {"group_by_window": {"key_func": "y % 3", "window_size": 5,
                                                          "reduce_func": [{"ragged_batch": 2}]}}]),
    ("group unbatched", "d", [{"group_by_window": {"key_func": "y % 3", "window_size": 4}}, {"unbatch": None},
                              {"batch": 6}]),
    ("group mapped", "d", [{"group_by_window": {"key_func": "y % 3", "window_size": 4}},
                           {"map": [{"Rescaling": {"scale": 0.5}}]}, {"skip": 1}]),
    ("group shuffled", "d", [{"shuffle": {}}, {"group_by_window": {"key_func": "y % 3", "window_size": 4,
                                                                   "reduce_func": []}}], "set"),
    ("bucket", "tall", [MIXED, {"bucket_by_sequence_length": BUCKETS}]),
    ("bucket to boundary", "tall", [MIXED, {"bucket_by_sequence_length": {
        **BUCKETS, "bucket_boundaries": [3, 10], "pad_to_bucket_boundary": True, "padding_values": {"x": 255}}}]),
    ("bucket drop", "tall", [MIXED, {"bucket_by_sequence_length": {**BUCKETS, "drop_remainder": True}}]),
    ("bucket shapes", "tall", [MIXED, {"bucket_by_sequence_length": {**BUCKETS, "padded_shapes": {"x": [9, 2, -1]}}}]),
    ("bucket measured", "tall", [MIXED, {"bucket_by_sequence_length": {**BUCKETS, "lengths": True, "masks": True}},
                                 {"take": 5}]),
    ("bucket no padding", "d", [{"bucket_by_sequence_length": {**BUCKETS, "no_padding": True}}]),
    ("bucket one size", "tall", [MIXED, {"bucket_by_sequence_length": {
        "element_length_func": "y // 4", "bucket_boundaries": [1], "bucket_batch_sizes": [4, 4]}}, {"unbatch": None}]),
    ("padded windows", "d", [{"window": {"size": 5}}, {"padded_batch": {"batch_size": 5}}]),
    ("repeat", "e", [{"repeat": 3}]),
    ("take", "d", [{"take": 7}]),
    ("take all", "d", [{"take": -1}]),
    ("take too many", "e", [{"take": 100}]),
    ("skip", "d", [{"skip": 20}]),
    ("shard", "d", [{"shard": {"num_shards": 4, "index": 3}}]),
    ("shard first", "d", [{"shard": {"num_shards": 4, "index": 0}}]),
    ("shard one", "e", [{"shard": {"num_shards": 1, "index": 0}}]),
    ("shard of repeat", "e", [{"repeat": 2}, {"shard": {"num_shards": 5, "index": 4}}]),
    ("repeat of shard", "e", [{"shard": {"num_shards": 5, "index": 4}}, {"repeat": 2}]),
    ("repeat once", "e", [{"repeat": 1}]),
    ("repeat of batches", "e", [{"batch": 6}, {"repeat": 2}, {"take": 3}]),
    ("skip none", "e", [{"skip": 0}]),
    ("take one", "e", [{"take": 1}]),
    ("enumerate below zero", "e", [{"enumerate": {"start": -3}}]),
    ("prefetch", "e", [{"prefetch": 2}]),
    ("cache", "e", [{"cache": None}]),
    ("cache named", "d", [{"skip": 3}, {"cache": "name"}, {"take": 7}, {"repeat": 2}]),
    ("cache of batches", "d", [{"batch": 5}, {"cache": None}, {"unbatch": None}]),
    ("cache of all", "d", [{"map": [{"Rescaling": {"scale": 0.5}}]}, {"cache": None}, {"filter": "y < 5"}, {"cache": None},
                           {"shard": {"num_shards": 2, "index": 1}}]),
    ("cache shuffled", "d", [{"shuffle": {}}, {"cache": None}], "set"),
    ("cache in another", "e", [{"concatenate": [{"dataset": "tall", "pipeline": [{"cache": None}, {"take": 4}]}]}, {"cache": None}]),
    ("snapshot", "d", [{"snapshot": "name"}]),
    ("snapshot variants", "d", [{"take": 9}, {"snapshot": {"path": "name", "variants": 3}}, {"repeat": 2}, {"batch": 4}]),
    ("order chain", "d", [{"skip": 3}, {"repeat": 2}, {"shard": {"num_shards": 3, "index": 1}}, {"take": 9}]),
    ("window", "d", [{"window": {"size": 4}}]),
    ("window drop", "d", [{"window": {"size": 4, "drop_remainder": True}}]),
    ("window shift", "d", [{"window": {"size": 4, "shift": 2}}]),
    ("window stride", "d", [{"window": {"size": 3, "shift": 1, "stride": 5}}]),
    ("window stride drop", "d", [{"window": {"size": 3, "shift": 2, "stride": 5, "drop_remainder": True}}]),
    ("window gap", "d", [{"window": {"size": 2, "shift": 7}}]),
    ("window of window", "d", [{"window": {"size": 3, "drop_remainder": True}}, {"window": {"size": 2, "shift": 1}}]),
    ("unbatch", "d", [{"batch": 5}, {"unbatch": None}]),
    ("unbatch map", "d", [{"map": [{"Rescaling": {"scale": 2.0}}]}, {"batch": 5}, {"unbatch": None}]),
    ("rebatch", "d", [{"batch": 5}, {"rebatch": 3}]),
    ("rebatch drop", "d", [{"batch": {"batch_size": 6, "drop_remainder": True}},
                           {"rebatch": {"batch_size": 4, "drop_remainder": True}}]),
    ("rebatch larger", "d", [{"batch": 2}, {"take": 7}, {"rebatch": 9}]),
    ("flat_map", "d", [{"window": {"size": 4, "shift": 2}}, {"flat_map": None}]),
    ("flat_map even", "d", [{"window": {"size": 4, "drop_remainder": True}}, {"flat_map": None}]),
    ("interleave even", "d", [{"window": {"size": 4, "drop_remainder": True}}, {"interleave": {"cycle_length": 3}}]),
    ("interleave blocks", "d", [{"window": {"size": 5, "shift": 1, "drop_remainder": True}},
                                {"interleave": {"cycle_length": 4, "block_length": 2}}]),
    ("interleave exact blocks", "d", [{"window": {"size": 6, "shift": 3, "drop_remainder": True}},
                                      {"interleave": {"cycle_length": 4, "block_length": 3}}]),
    ("interleave uneven", "d", [{"window": {"size": 9, "shift": 4}},
                                {"interleave": {"cycle_length": 3, "block_length": 2}}]),
    ("interleave uneven one", "d", [{"window": {"size": 7, "shift": 5}}, {"interleave": {"cycle_length": 1}}]),
    ("interleave wide", "d", [{"window": {"size": 7, "shift": 5}}, {"interleave": {"cycle_length": 20}}]),
    ("enumerate", "e", [{"enumerate": None}]),
    ("enumerate from", "e", [{"skip": 2}, {"enumerate": {"start": 5, "name": "n"}}, {"repeat": 2}]),
    ("zip", "d", [{"zip": [{"dataset": "e"}]}]),
    ("zip three", "d", [{"skip": 4}, {"zip": {"datasets": [{"dataset": "e", "pipeline": [{"skip": 1}]},
                                                            {"dataset": "tall"}]}}]),
    ("zip endless", "e", [{"zip": [{"dataset": "f", "pipeline": [{"repeat": None}]}]}]),
    ("concatenate", "e", [{"concatenate": [{"dataset": "d"}, {"dataset": "f", "pipeline": [{"take": 3}]}]}]),
    ("concatenate shapes", "tall", [{"concatenate": [{"dataset": "tall7"}]}]),
    ("concatenate maps", "e", [{"map": [{"Rescaling": {"scale": 3.0}}]},
                               {"concatenate": [{"dataset": "f", "pipeline": [{"map": [{"Rescaling": {"scale": 5.0}}]}]}]}]),
    ("nested twice", "e", [{"zip": [{"dataset": "d", "pipeline": [
        {"concatenate": [{"dataset": "f", "pipeline": [{"take": 4}]}]}, {"skip": 20}]}]}]),
    ("ignore_errors", "d", [{"ignore_errors": None}, {"take": 5}]),
    ("assert_cardinality", "d", [{"skip": 3}, {"assert_cardinality": 20}]),
    ("filter", "d", [{"filter": "y < 5"}]),
    ("filter two", "d", [{"skip": 2}, {"filter": "y % 3 == 1 || y > 7"}, {"repeat": 2}]),
    ("filter pixels", "d", [{"filter": {"predicate": "reduce_mean(x) > 40"}}, {"filter": "y < 5"}, {"batch": 3}]),
    ("filter shuffled", "d", [{"shuffle": {}}, {"filter": "y < 5"}], "set"),
    ("filter mapped", "d", [{"map": [{"Rescaling": {"scale": 2.0, "offset": -20.0}}]}, {"filter": "reduce_mean(x) > 40"}]),
    ("take_while", "d", [{"take_while": "reduce_max(x) <= 50"}]),
    ("take_while skipped", "d", [{"skip": 3}, {"take_while": "reduce_max(x) <= 50"}, {"repeat": 3}]),
    ("unique", "d", [{"unique": {"fields": ["y"]}}]),
    ("unique joined", "e", [{"concatenate": [{"dataset": "d"}]}, {"unique": "y"}]),
    ("resample", "d", [{"rejection_resample": {"class_func": "y", "target_dist": [0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
                                               "initial_dist": [0.1] * 10}}]),
    ("choose", "d", [{"choose_from_datasets": {"datasets": [{"dataset": "e"}, {"dataset": "f"}], "choices": [0, 2, 1, 1]}}]),
    ("choose on", "d", [{"choose_from_datasets": {"datasets": [{"dataset": "e"}], "choices": [0, 1, 1],
                                                  "stop_on_empty_dataset": False}}]),
    ("choose once", "d", [{"choose_from_datasets": {"datasets": [{"dataset": "e"}], "choices": [1, 0, 1],
                                                    "repeat": False}}]),
    ("sample all", "e", [{"sample_from_datasets": {"datasets": [{"dataset": "f"}], "weights": [0.3, 0.7]}}], "set"),
    ("sample one", "e", [{"sample_from_datasets": {"datasets": [{"dataset": "f"}], "weights": [0.0, 1.0],
                                                   "stop_on_empty_dataset": True}}]),
]


def run(ds, pipeline):
    for item in pipeline:
        ((name, value),) = item.items()
        ds = STAGES[name](ds, value)
    return ds


def tensor(value):
    value = np.asarray(value)
    return {"dtype": str(value.dtype), "shape": list(value.shape), "v": value.ravel().tolist()}


def main():
    cases = []
    for name, data, pipeline, *how in CASES:
        elements = [{key: tensor(v) for key, v in element.items()}
                    for element in run(dataset(data), pipeline).as_numpy_iterator()]
        cases.append({"name": name, "dataset": data, "pipeline": pipeline, "as_set": bool(how), "elements": elements})
    head = json.dumps({"tensorflow": tf.__version__, "sets": {k: list(v) for k, v in SETS.items()}})
    sys.stdout.write(head[:-1] + ', "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")


if __name__ == "__main__":
    main()
