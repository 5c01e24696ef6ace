"""Kill the tree with psutil, children first asked and then killed. SECONDS GRACE COMMAND..."""

import sys

import psutil

seconds, grace = map(float, sys.argv[1:3])
parent = psutil.Popen(sys.argv[3:])
try:
    parent.wait(seconds)
except psutil.TimeoutExpired:
    tree = [*parent.children(recursive=True), parent]
    for process in tree:
        process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=grace)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=grace)
