/* An init in C: answers every line. With the argument `handler` it has a handler for SIGTERM. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void leave(int signum)
{
    (void)signum;
    _exit(0);
}

int main(int argc, char **argv)
{
    char line[100];

    (void)argv;
    if (argc > 1)
        signal(SIGTERM, leave);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        fputs(line, stdout);
        fflush(stdout);
    }
    return 0;
}
