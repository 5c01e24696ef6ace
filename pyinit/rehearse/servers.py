"""Servers that another stop signal, or a setting, lets finish what they have in hand.

docs/graceful-shutdown.md says how each was tried.
"""

import re

SERVERS = (
    (r"nginx", "SIGQUIT", ""),
    (r"php-fpm[\d.]*", "SIGQUIT", ", and set process_control_timeout"),
    (r"apache2|httpd", "SIGWINCH", ""),
    (r"haproxy", "SIGUSR1", ""),
    (r"postgres", "SIGINT", ""),
    (r"gunicorn", "SIGTERM", ""),
)
UWSGI = r"uwsgi(-core)?"
MYSQL = "mysqld_safe"


def advice(name: str, signal: str) -> str:
    """Return what to change where a server did not stop well; empty where nothing is known.

    Args:
        name: what it is called, as in /proc/PID/comm.
        signal: what it was stopped with.
    """
    for pattern, better, more in SERVERS:
        if re.fullmatch(pattern, name) and signal != better:
            return f"STOPSIGNAL {better}{more}"
    if re.fullmatch(UWSGI, name):
        return 'uwsgi --hook-master-start="unix_signal:15 gracefully_kill_them_all"'
    if name == MYSQL:
        return 'ENTRYPOINT ["pyinit", "-g", "--"]'
    return ""
