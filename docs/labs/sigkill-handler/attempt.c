/* Try to handle, ignore, reset and block SIGKILL and SIGSTOP; SIGTERM for comparison. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void handle(int signum) { (void)signum; }

static const char *result_of(int result) { return result == 0 ? "done" : strerrorname_np(errno); }

static const char *dispose(int signum, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    return result_of(sigaction(signum, &action, NULL));
}

static const char *block(int signum)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signum);
    return result_of(sigprocmask(SIG_BLOCK, &set, NULL));
}

static const char *is_blocked(int signum)
{
    sigset_t set;

    sigprocmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, signum) ? "yes" : "no";
}

static void attempt(const char *name, int signum)
{
    printf("%-8s  %-7s  ", name, dispose(signum, handle));
    printf("%-7s  ", dispose(signum, SIG_IGN));
    printf("%-7s  ", dispose(signum, SIG_DFL));
    printf("%-9s  ", block(signum));
    puts(is_blocked(signum));
}

int main(void)
{
    puts("in C      handler  SIG_IGN  SIG_DFL  SIG_BLOCK  blocked now");
    attempt("SIGTERM", SIGTERM);
    attempt("SIGKILL", SIGKILL);
    attempt("SIGSTOP", SIGSTOP);
    return 0;
}
