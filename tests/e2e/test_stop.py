"""How a container is stopped: `stop` and `kill` of the engine, and its grace period."""

import signal

from containers import WITH_PROGRAMS, WITH_VICTIMS, WORK, listener

# One of each kind: those that stop, that ask, that a terminal sends, that are harmless, real-time.
SIGNALS = [
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE,
    signal.SIGALRM, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGURG, signal.SIGXFSZ,
    signal.SIGWINCH, signal.SIGIO, signal.SIGRTMIN + 3, signal.SIGRTMAX,
]  # fmt: skip

UNWILLING = ["sh", "-c", "trap '' TERM; echo ready; exec sleep infinity"]


def test_stop_with_time_to_spare(start):
    """The child ends by itself: the code is its own."""
    container = start(*listener(42), options=WITH_VICTIMS)
    container.line("ready")

    assert 42 == container.stop()


def test_stop_of_one_that_does_not_listen(start):
    """After its grace period the engine kills everything; pyinit can do nothing about it."""
    container = start(*UNWILLING)
    container.line("ready")

    assert 137 == container.stop(seconds=1)


def test_kill_after_comes_before_the_engine(start):
    """With PYINIT_KILL_AFTER, pyinit kills the child itself, and logs its name."""
    container = start(*UNWILLING, kill_after=0.2)
    container.line("ready")
    code = container.stop()
    result = container.finish()

    assert 137 == code
    expected = ["stop_is_slow", "kill_after_expired", "child_exited"]
    assert expected == [event["event"] for event in result.events]
    assert ["sleep"] * 2 == [event["name"] for event in result.events[:2]]


def test_kill_of_the_engine_is_forwarded(start):
    """Each signal that `kill --signal` sends reaches the child."""
    container = start(*listener(42), options=WITH_VICTIMS)
    container.line("ready")
    for signum in SIGNALS:
        container.kill(int(signum))
        container.line(f"^got {int(signum)}$")
    container.kill("TERM")

    assert 42 == container.wait()


def test_stop_signal_of_the_image(start):
    """`stop` sends what the image or --stop-signal says; -r makes another one of it."""
    options = [*WITH_VICTIMS, "--stop-signal=QUIT"]
    container = start(*listener(42), options=options, rewrite="QUIT:TERM")
    container.line("ready")

    assert 42 == container.stop()
    assert "got 15\n" in container.finish().out


def test_sender_is_outside(start):
    """The process that asked for the stop has no pid in the container, and the log says so."""
    container = start(*listener(0), options=WITH_VICTIMS, verbosity=2)
    container.line("ready")
    container.stop()
    (forwarded,) = container.finish().named("signal_forwarded")

    assert ("SIGTERM", None) == (forwarded["signal"], forwarded["sender_pid"])
    assert "outside the namespace" == forwarded["sender"]


def test_exec_may_finish(start):
    """What `exec` brought in is asked to stop, too, and waited for, after the child has gone."""
    container = start("sh", "-c", "echo ready; exec sleep infinity")
    container.line("ready")
    guest = container.engine.open("exec", container.identity, "python3", "-c", WORK)
    assert "ready\n" == guest.stdout.readline()
    code = container.stop()

    assert (143, "finished\n", 0) == (code, guest.communicate()[0], guest.returncode)


def test_paused(start):
    """What comes while a container is paused is forwarded when it goes on."""
    container = start(*listener(42), options=WITH_VICTIMS)
    container.line("ready")
    container.engine.ask("pause", container.identity)
    container.send(signal.SIGUSR1)
    container.engine.ask("unpause", container.identity)
    container.line("^got 10$")

    assert 42 == container.stop()


def test_stop_while_paused(docker):
    """Docker lets a paused container go on when it is stopped: the child ends by itself."""
    container = docker(*listener(42), options=WITH_VICTIMS)
    container.line("ready")
    docker.engine.ask("pause", container.identity)

    assert 42 == container.stop()


def test_survivor_is_named(start):
    """Helpers that ignore SIGTERM are named at the end of the drain, and killed."""
    command = ["/programs/helpers", 3, "ignore"]
    container = start(*command, options=[*WITH_PROGRAMS, "--interactive"], drain=0.2)
    container.line("ready")
    code = container.stop()
    events = container.finish().named("drain_survivor")

    assert (143, ["helpers"] * 3) == (code, [event["name"] for event in events])
