/* The workload of the faults: it writes marks to a folder, whatever else fails.
 *
 * Usage: workload FOLDER MILLISECONDS
 *
 * It marks that it runs, leaves an orphan that ends at once and a helper in a session of its own
 * that marks when it gets SIGTERM, waits for the time, sends SIGUSR1 to its parent, marks when that
 * comes back, and exits with 7. Nothing waits for longer than a few seconds. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *folder;

static void mark(const char *what) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, what);
    mkdir(path, 0777);
}

static int wait_for(int signum, long milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    sigset_t set;
    sigemptyset(&set);
    if (signum) sigaddset(&set, signum);
    int received;
    do received = sigtimedwait(&set, NULL, &left); /* a tracer interrupts for ignored ones */
    while (received < 0 && errno == EINTR);
    return received == signum;
}

static void leave_orphan(void) {
    if (fork() == 0) {
        if (fork() == 0) _exit(0);
        _exit(0);
    }
}

static void leave_helper(void) {
    int ready[2];
    char byte;
    if (pipe(ready) < 0) return;
    pid_t helper = fork();
    if (helper == 0) {
        setsid();
        mark("helper");
        close(ready[0]);
        close(ready[1]); /* ready: SIGTERM is blocked, so it stays pending */
        if (wait_for(SIGTERM, 3000)) mark("asked");
        _exit(0);
    }
    close(ready[1]);
    if (helper > 0) (void)!read(ready[0], &byte, 1);
    close(ready[0]);
}

int main(int argc, char **argv) {
    sigset_t set;
    if (argc != 3) return 64;
    folder = argv[1];
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    mark("child");
    leave_orphan();
    leave_helper();
    wait_for(0, atol(argv[2]));
    kill(getppid(), SIGUSR1);
    if (wait_for(SIGUSR1, 1000)) mark("forwarded");
    return 7;
}
