/* Send SIGTERM to the own process group three times: ignored, handled, and with the default. */
#include <signal.h>
#include <stdio.h>

static void catch_once(int signum)
{
    puts("caught"); /* not safe in a real program: signal-safety(7) */
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
