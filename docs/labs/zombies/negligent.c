/* A parent that does not wait for its three children, and exits after a line of stdin. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    siginfo_t info;

    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT); /* wait until it has exited, but do not reap it */
    }
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
