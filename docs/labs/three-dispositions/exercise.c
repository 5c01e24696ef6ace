/* SIGTERM three times for the own process group: ignored, caught, and with its default. */
#include <signal.h>
#include <stdio.h>

static void catch_once(int signum)
{
    puts("caught"); /* fit for an exercise, but not for a program: signal-safety(7) */
    signal(signum, SIG_DFL);
}

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    puts("1. ignore");
    kill(0, SIGTERM);

    signal(SIGTERM, catch_once);
    puts("2. catch");
    kill(0, SIGTERM);

    puts("3. default");
    kill(0, SIGTERM);

    puts("still there");
    return 0;
}
