/* A chain of processes, each the parent of the next. On SIGTERM each prints a line, waits for the
 * one below it, and exits.
 *
 * Usage: nested DEPTH [CODE]
 *
 * When all are there, the first prints that and forks them; it exits with CODE at the end of stdin.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void chain(int depth, int ready)
{
    sigset_t term;
    int signum;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    if (depth > 1 && fork() == 0)
        chain(depth - 1, ready);
    if (write(ready, "", 1) != 1)
        _exit(1);
    close(ready);
    while (sigwait(&term, &signum) != 0)
        ;
    if (write(1, "asked\n", 6) != 6)
        _exit(1);
    while (wait(NULL) > 0)
        ;
    _exit(0);
}

int main(int argc, char **argv)
{
    int depth = atoi(argv[1]), ready[2];
    char byte;

    if (pipe(ready) != 0)
        return 1;
    if (fork() == 0)
        chain(depth, ready[1]);
    for (int i = 0; i < depth; i++)
        if (read(ready[0], &byte, 1) != 1)
            return 1;
    printf("ready (pid: %d)\n", getpid());
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return argc > 2 ? atoi(argv[2]) : 0;
}
