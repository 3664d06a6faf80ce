#!/usr/bin/env python3
"""Real Keras makes each layer from what a .keras file of ours says of it, and computes the same.

Takes the program that writes the cases.
"""
import os
import subprocess
import sys

import interop

JUDGE = r"""
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, keras
sys.path.insert(0, os.environ["MILLRACE_KERAS"])
import millrace_keras
passed = failed = 0
for line in sys.stdin:
    case = json.loads(line)
    what = f"{case['name']} {json.dumps(case['options'])}"
    try:
        layer = keras.saving.deserialize_keras_object(case["config"])
        x = [np.asarray(v, np.float32).reshape(case["shape"]) for v in case["inputs"]]
        x = x[0] if len(x) == 1 else x
        layer(x)
        for weight in layer.weights:
            if weight.name in case["weights"]:
                weight.assign(np.asarray(case["weights"].pop(weight.name), np.float32).reshape(weight.shape))
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
        y = np.asarray(layer(x, training=False) if "training" in layer._call_signature.parameters else layer(x))
        want = np.asarray(case["output"], np.float32).reshape(case["output_shape"])
        worst = float(np.max(np.abs(y - want) / (1 + np.abs(want)))) if y.shape == want.shape else float("inf")
        good = worst <= 1e-5 and not case["weights"]
        note = f"{worst:.2g}" + (f", Keras knows no {', '.join(case['weights'])}" if case["weights"] else "")
    except Exception as e:
        good, note = False, f"{type(e).__name__}: {str(e)[:300]}"
    passed, failed = passed + good, failed + (not good)
    print(("ok      " if good else "FAILED  ") + what + f" ({note})")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
"""


def main():
    cases = subprocess.run([sys.argv[1]], capture_output=True, text=True, check=True).stdout
    done = subprocess.run([interop.venv(), "-c", JUDGE], input=cases, text=True, check=False, stderr=subprocess.PIPE,
                          env={**os.environ, "MILLRACE_KERAS": str(interop.ROOT / "trainer" / "keras")})
    if done.returncode not in (0, 1):
        sys.stderr.write(done.stderr[-3000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
