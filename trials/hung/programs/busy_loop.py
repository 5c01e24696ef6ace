"""A loop that computes, and a handler that sets a flag, which the loop does not check."""

import signal

stopping = False


def stop(*_):
    global stopping
    stopping = True


def step(number):
    return number * 3 // 2 % 1000  # HERE


signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
value = 1
while True:  # HERE
    value = step(value)  # HERE
