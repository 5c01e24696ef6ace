/* Add a process to a PID namespace twice: while it has its PID 1, and after PID 1 has exited.
 *
 * The open file keeps the namespace, so it can always be entered; but at last fork fails there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void demand(int fine, const char *what)
{
    if (!fine) {
        perror(what);
        exit(1);
    }
}

/* Fork into the namespace that is set for children. */
static void add(const char *when)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    printf("%s: fork: %s\n", when, pid > 0 ? "a process" : strerrorname_np(errno));
}

static void enter(int namespace) { demand(setns(namespace, CLONE_NEWPID) == 0, "setns"); }

int main(void)
{
    int own = open("/proc/self/ns/pid", O_RDONLY);
    int namespace;
    pid_t init;

    demand(own >= 0, "/proc/self/ns/pid");
    demand(unshare(CLONE_NEWPID) == 0, "unshare");
    init = fork(); /* the first process in it */
    demand(init >= 0, "fork");
    if (init == 0)
        for (;;)
            pause();
    namespace = open("/proc/self/ns/pid_for_children", O_RDONLY);
    demand(namespace >= 0, "/proc/self/ns/pid_for_children");
    add("init lives");

    enter(own);
    kill(init, SIGKILL);
    waitpid(init, NULL, 0);
    enter(namespace);
    add("init is dead");

    enter(own);
    add("back in our own");
    return 0;
}
