"""Servers that finish their requests only with another stop signal or another setting.

docs/graceful-shutdown.md says how each was tried.
"""

import re

SERVERS = (
    (r"nginx", "SIGQUIT", ""),
    (r"php-fpm[\d.]*", "SIGQUIT", ", and process_control_timeout in php-fpm.conf"),
    (r"apache2|httpd", "SIGWINCH", ""),
    (r"haproxy", "SIGUSR1", ""),
    (r"postgres", "SIGINT", ""),
    (r"gunicorn", "SIGTERM", ""),
)
UWSGI = r"uwsgi(-core)?"
MYSQL = "mysqld_safe"


def advice(name: str, signal: str) -> str:
    """Return what to change if a server did not stop well; empty if that is not known.

    Args:
        name: its name in /proc/PID/comm.
        signal: the stop signal that was sent.
    """
    for pattern, better, more in SERVERS:
        if re.fullmatch(pattern, name) and signal != better:
            return f"set STOPSIGNAL {better} in the Dockerfile{more}"
    if re.fullmatch(UWSGI, name):
        return 'start uwsgi with --hook-master-start="unix_signal:15 gracefully_kill_them_all"'
    if name == MYSQL:
        return 'set ENTRYPOINT ["pyinit", "-g", "--"] in the Dockerfile'
    return ""
