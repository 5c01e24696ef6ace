/* Leave helpers behind, each in a session of its own: as daemons, job runners and shells do.
 *
 * Usage: helpers COUNT WHAT [CODE]
 *
 * When all are ready it prints that, and at the end of stdin it exits with CODE; they stay. When
 * SIGTERM asks them to stop, they
 *     finish    work for 100 ms more, then say `done`
 *     stopped   the same, but they are stopped (SIGSTOP) until they are continued
 *     handover  fork a process that does the rest of the work, and exit
 *     ignore    do nothing, and are not even woken
 *     escape    do not exit, and fork a new process all the time; they give up after 20 s, so
 *               that they end even if nothing stops them
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *what;

static int is(const char *word) { return strcmp(what, word) == 0; }

static void finish(void)
{
    struct timespec work = {.tv_nsec = 100 * 1000 * 1000};

    while (nanosleep(&work, &work) != 0)
        ;
    if (write(1, "done\n", 5) != 5)
        _exit(1);
    _exit(0);
}

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void escape(void)
{
    time_t end = now() + 20;

    while (now() < end)
        if (fork() > 0)
            _exit(0);
    if (write(1, "escaped\n", 8) != 8)
        _exit(1);
    _exit(0);
}

static void helper(int ready)
{
    sigset_t term;
    int signum;

    setsid();
    signal(SIGHUP, SIG_IGN); /* which a stopped group gets when it is orphaned */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    if (is("ignore") || is("escape"))
        signal(SIGTERM, SIG_IGN);
    if (is("ignore"))
        sigprocmask(SIG_UNBLOCK, &term, NULL);
    if (write(ready, "", 1) != 1)
        _exit(1);
    close(ready);
    close(0);
    if (is("escape"))
        escape();
    if (is("stopped"))
        raise(SIGSTOP);
    while (is("ignore"))
        pause();
    while (sigwait(&term, &signum) != 0)
        ;
    if (is("handover")) {
        if (fork() > 0)
            _exit(0);
        signal(SIGTERM, SIG_DFL); /* the next SIGTERM kills it */
        sigprocmask(SIG_UNBLOCK, &term, NULL);
    }
    finish();
}

int main(int argc, char **argv)
{
    int count = atoi(argv[1]), ready[2];
    char byte;

    what = argv[2];
    if (pipe(ready) != 0)
        return 1;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return 1;
        if (pid == 0) {
            close(ready[0]);
            helper(ready[1]);
        }
        if (is("stopped") && waitpid(pid, NULL, WUNTRACED) != pid)
            return 1;
    }
    for (int i = 0; i < count; i++)
        if (read(ready[0], &byte, 1) != 1)
            return 1;
    printf("ready (pid: %d)\n", getpid());
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return argc > 3 ? atoi(argv[3]) : 0;
}
