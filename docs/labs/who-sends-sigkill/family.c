/* A parent with two workers. Each of the three prints a line when SIGTERM comes, and exits. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *line = "worker 1: SIGTERM, finishing\n";

static void finish(int signum)
{
    (void)signum;
    if (write(1, line, strlen(line)) < 0)
        _exit(1);
    _exit(0);
}

static pid_t fork_worker(void)
{
    pid_t pid = fork();

    while (pid == 0)
        pause();
    return pid;
}

int main(void)
{
    signal(SIGTERM, finish);
    fork_worker();
    line = "worker 2: SIGTERM, finishing\n";
    fork_worker();
    line = "parent: SIGTERM, finishing\n";
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
