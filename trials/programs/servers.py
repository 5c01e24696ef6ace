"""Servers, each with a request, a session or a job in progress."""

import dataclasses
import getpass
import socket
from collections.abc import Iterable

from trials.programs.trial import HOST, Answer, Case, Trial

PAGE = b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nfinished"
APACHE = """\
ServerName localhost
ServerRoot {folder}
PidFile {folder}/apache.pid
User www-data
Group www-data
Listen {host}:{port}
ErrorLog /dev/stderr
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
ProxyPass / http://{host}:{work}/
"""
HAPROXY = """\
defaults
    mode http
    timeout connect 30s
    timeout client 30s
    timeout server 30s
frontend front
    bind {host}:{port}
    default_backend back
backend back
    server work {host}:{work}
"""
SQUID = """\
http_port {host}:{port}
http_access allow all
cache deny all
access_log none
cache_log /dev/null
pid_filename none
coredump_dir {folder}
shutdown_lifetime {patience} seconds
"""
SSHD = """\
ListenAddress {host}
Port {port}
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
"""
GIT = "[uploadpack]\n\tpackObjectsHook = {folder}/pack\n"
PACK = '#!/bin/sh\n{worker} >&2\nexec "$@"\n'


def apache(trial: Trial) -> list[str]:
    """Start apache, which forwards requests to the work."""
    modules = "/usr/lib/apache2/modules"
    fields = {"folder": trial.folder, "host": HOST, "port": trial.port, "work": trial.work_port}
    configuration = trial.write("apache.conf", APACHE.format(modules=modules, **fields))
    return ["apache2", "-D", "FOREGROUND", "-f", str(configuration)]


def haproxy(trial: Trial) -> list[str]:
    """Start a master of haproxy with a worker; they report that they are ready to NOTIFY_SOCKET."""
    notify = trial.undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    notify.bind(f"{trial.folder}/notify")
    text = HAPROXY.format(host=HOST, port=trial.port, work=trial.work_port)
    configuration = trial.write("haproxy.cfg", text)
    trial.notify = notify
    where = f"NOTIFY_SOCKET={trial.folder}/notify"
    return ["env", where, "haproxy", "-Ws", "-f", str(configuration)]


def ask_haproxy(trial: Trial) -> Answer:
    """Send a request once the master, which execs itself at first, is ready."""
    assert trial.notify is not None
    while not trial.notify.recv(200).startswith(b"READY=1"):
        pass
    return trial.get()


def squid(trial: Trial, *, patience: int = 30) -> list[str]:
    """Start squid in front of the work; 30 seconds are the default of shutdown_lifetime."""
    text = SQUID.format(host=HOST, port=trial.port, folder=trial.folder, patience=patience)
    return ["squid", "--foreground", "-d", "1", "-f", str(trial.write("squid.conf", text))]


def through_squid(trial: Trial) -> Answer:
    """Make squid fetch a page from the work."""
    proxy = f"http://{HOST}:{trial.port}"
    return trial.client("curl", "-sS", "--proxy", proxy, f"http://{HOST}:{trial.work_port}/")


def patient_squid(trial: Trial) -> list[str]:
    """Start squid with a shutdown_lifetime shorter than the grace period of docker stop."""
    return squid(trial, patience=5)


def sshd(trial: Trial) -> list[str]:
    """Start sshd with a key of its own."""
    trial.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{trial.folder}/key")
    text = SSHD.format(host=HOST, port=trial.port, folder=trial.folder)
    return ["/usr/sbin/sshd", "-D", "-e", "-f", str(trial.write("sshd_config", text))]


def ssh(trial: Trial, *words: str) -> Answer:
    """Run a job in a session of sshd."""
    options = ("-i", f"{trial.folder}/key", "-p", str(trial.port), "-o", "BatchMode=yes")
    unknown = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    where = f"{getpass.getuser()}@{HOST}"
    command = " ".join(trial.worker(*words))
    command = f"{command} && echo finished"
    return trial.client("ssh", "-q", "-F", "none", *options, *unknown, where, command)


def session(trial: Trial) -> None:
    """Run a job in a session, and ask the job whether it is finished."""
    ssh(trial)


def minding_session(trial: Trial) -> None:
    """Run a job that finishes its work at SIGTERM, and ask it."""
    ssh(trial, "minds")


def client_of_minding_session(trial: Trial) -> Answer:
    """Run a job that finishes its work at SIGTERM, and ask the client."""
    return ssh(trial, "minds")


def cron(trial: Trial, *words: str) -> list[str]:
    """Start cron with a job that it runs at its start."""
    trial.write("tabs/root", f"@reboot {' '.join(trial.worker(*words))}\n", 0o600)
    return ["cron", "-f"]


def cron_minding(trial: Trial) -> list[str]:
    """Start cron with a job that finishes its work at SIGTERM."""
    return cron(trial, "minds")


def git_daemon(trial: Trial) -> list[str]:
    """Start git daemon, which sends a clone when the work is finished."""
    folder = trial.folder
    trial.write("gitconfig", GIT.format(folder=folder))
    trial.write("pack", PACK.format(worker=" ".join(trial.worker())), 0o755)
    where = ("-C", f"{folder}/one.git")
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@localhost")
    for words in (
        ("init", "--quiet", f"{folder}/one.git"),
        (*where, *who, "commit", "--quiet", "--allow-empty", "--message", "one"),
    ):
        trial.run("git", *words)
    serve = ("git", "daemon", "--export-all", f"--base-path={folder}", f"--listen={HOST}")
    settings = f"GIT_CONFIG_GLOBAL={folder}/gitconfig"
    log = ("--verbose", "--log-destination=stderr")
    return ["env", settings, *serve, f"--port={trial.port}", *log]


def clone(trial: Trial) -> Answer:
    """Clone the repository."""
    command = f"git clone --quiet git://{HOST}:{trial.port}/one.git copy && echo finished"
    return trial.client("sh", "-c", f"cd {trial.folder} && {command}")


def mysqld_safe(trial: Trial) -> list[str]:
    """Start MariaDB with a new data directory, under the script that restarts it."""
    data, user = f"{trial.folder}/data", "--user=mysql"
    install = ("mariadb-install-db", "--no-defaults", f"--datadir={data}", user)
    trial.run(*install, "--auth-root-authentication-method=normal")
    where = (f"--datadir={data}", f"--socket={data}/sock", f"--tmpdir={data}", "--pid-file=pid")
    log = f"--log-error={data}/log.err"
    return ["mysqld_safe", "--no-defaults", *where, "--skip-networking", user, log]


def transaction(trial: Trial) -> Answer:
    """Keep a transaction open; the answer is what the server's log says about its end."""
    data = trial.folder / "data"
    where = ("--no-defaults", f"--socket={data}/sock")
    trial.run("mariadb-admin", *where, "--wait=30", "ping")
    work = " ".join(trial.worker())
    begin, commit = "CREATE TABLE test.t (n INT); BEGIN; INSERT test.t VALUES (1);", "COMMIT;"
    trial.client(
        "sh", "-c", f"{{ echo '{begin}'; {work}; echo '{commit}'; }} | mariadb {' '.join(where)}"
    )

    def answer() -> str:
        return CLEAN if "Shutdown complete" in (data / "log.err").read_text() else "killed"

    return answer


def each(case: Case, *options: str) -> Iterable[Case]:
    """Yield a case with no option, and with each of these."""
    for words in ("", *options):
        yield dataclasses.replace(case, options=tuple(words.split()))


CLEAN = "lost, but a clean shutdown"
NEW_MOUNTS = "mount -t tmpfs none /run && mkdir /run/sshd"
CRON_MOUNTS = f"""{NEW_MOUNTS} && mount --bind "$0/tabs" /var/spool/cron/crontabs &&
    mount -t tmpfs none /etc/cron.d && mount --bind /dev/null /etc/crontab"""

APACHE_CASE = Case(
    "apache2",
    apache,
    ready=("resuming normal operations",),
    begin=Trial.get,
    gate=PAGE,
    needs=("apache2", "curl"),
)
HAPROXY_CASE = Case(
    "haproxy -Ws",
    haproxy,
    ready=("Loading success",),
    begin=ask_haproxy,
    gate=PAGE,
    needs=("haproxy", "curl"),
)
SQUID_CASE = Case(
    "squid",
    squid,
    ready=("Accepting HTTP Socket",),
    begin=through_squid,
    gate=PAGE,
    needs=("squid", "curl"),
)
SSHD_CASE = Case(
    "sshd",
    sshd,
    ready=("Server listening on",),
    begin=session,
    setup=NEW_MOUNTS,
    needs=("sshd", "ssh"),
)
CRON_CASE = Case("cron", cron, setup=CRON_MOUNTS, needs=("cron",))
GIT_CASE = Case("git daemon", git_daemon, ready=("Ready to rumble",), begin=clone, needs=("git",))
MYSQL_CASE = Case(
    "mysqld_safe",
    mysqld_safe,
    begin=transaction,
    answer=CLEAN,
    otherwise="none: killed by the engine",
    needs=("mysqld_safe", "mariadb"),
)
SERVERS = (
    *each(APACHE_CASE, "-g", "-r TERM:WINCH"),
    *each(HAPROXY_CASE, "-g", "-r TERM:USR1"),
    *each(SQUID_CASE, "-r TERM:INT"),
    *each(
        dataclasses.replace(
            SQUID_CASE, program="squid, shutdown_lifetime 5", prepare=patient_squid
        ),
        "-g",
    ),
    *each(SSHD_CASE, "-g", "-a"),
    *each(dataclasses.replace(SSHD_CASE, program="sshd, job minds SIGTERM", begin=minding_session)),
    *each(
        dataclasses.replace(
            SSHD_CASE, program="sshd, as its client sees it", begin=client_of_minding_session
        )
    ),
    *each(CRON_CASE, "-g"),
    *each(
        dataclasses.replace(CRON_CASE, program="cron, job minds SIGTERM", prepare=cron_minding),
        "-g",
    ),
    *each(GIT_CASE, "-d0", "-r TERM:INT"),
    *each(MYSQL_CASE, "-g", "-a", "-k5"),
)
