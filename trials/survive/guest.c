/* The workload of make survive: guest CODE [ANYTHING...]

   It needs nothing that a hostile surrounding may take away: it is static, opens no file, and writes
   to a descriptor that it was given. It writes `ready SUM`, with a sum of its words after CODE and of
   its environment, and then `got N` for each signal that it gets, except SIGCHLD and SIGCONT. At
   SIGUSR1 it makes orphans first. At SIGTERM it exits with CODE. If CODE is negative, it leaves a process behind
   that does not exit; if it is 0, it does not exit itself. */

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANNEL = 1000, ORPHANS = 3 };

static uint64_t sum = 14695981039346656037u;

static void add(char **words) {
    for (; *words; words++)
        for (const char *byte = *words;; byte++) {
            sum = (sum ^ (unsigned char)*byte) * 1099511628211u;
            if (!*byte)
                break;
        }
}

static void say(const char *what, unsigned long long value) {
    char line[64];
    int size = snprintf(line, sizeof line, "%s %llu\n", what, value);
    if (write(CHANNEL, line, size) != size)
        _exit(99);
}

/* Their parent has exited before they do. If fork fails, there are none. */
static void make_orphans(void) {
    pid_t parent = fork();
    if (parent == 0) {
        for (int n = 0; n < ORPHANS; n++)
            if (fork() == 0)
                _exit(0);
        _exit(0);
    }
    if (parent > 0)
        waitpid(parent, NULL, 0);
}

int main(int argc, char **argv, char **environment) {
    sigset_t all;
    int code = argc > 1 ? atoi(argv[1]) : 0;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int signum = 1; signum < NSIG; signum++)
        signal(signum, SIG_DFL);
    if (argc > 2)
        add(argv + 2);
    add(environment);
    say("ready", sum);
    for (;;) {
        int signum = sigwaitinfo(&all, NULL);
        if (signum < 0 || signum == SIGCHLD || signum == SIGCONT)
            continue;
        if (signum == SIGUSR1)
            make_orphans();
        int leaves = signum == SIGTERM && code != 0;
        if (leaves && code < 0 && fork() == 0)
            for (;;)
                pause();
        say("got", signum);
        if (leaves)
            _exit(abs(code));
    }
}
