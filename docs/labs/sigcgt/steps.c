/* Prepare for SIGTERM in one of two ways, one step for each line of stdin.
 *
 *     steps handler   register a handler
 *     steps sigwait   block the signal, then wait for it: tini and pyinit work this way
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

static void next_step(void)
{
    while (getchar() != '\n')
        if (feof(stdin))
            _Exit(1);
}

static void handle(int signum) { (void)signum; }

int main(int argc, char **argv)
{
    sigset_t set;
    int signum;

    say("ready");
    next_step();
    if (argc > 1 && strcmp(argv[1], "handler") == 0) {
        signal(SIGTERM, handle);
        say("registered");
        next_step();
        return 0;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    say("blocked");
    next_step();
    sigwait(&set, &signum);
    say(signum == SIGTERM ? "took SIGTERM" : "took another");
    return 0;
}
